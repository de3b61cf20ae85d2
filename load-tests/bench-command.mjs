// What the commands of all benches need.

import { access, constants, mkdir, mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { root, setUp } from '../scripts/setup.mjs';
import { BenchSwarms } from './passing-swarms.mjs';

/**
 * What `interpret` makes of the options that the person gave, and of `--dir` and `--help`, which every bench has. What it
 * throws is told as the person's mistake.
 *
 * @param {{ name: string, usage: string, options: object }} command
 */
export function readOptions({ name, usage, options }, interpret) {
  try {
    const own = { dir: { type: 'string', default: join(root, 'data') }, help: { type: 'boolean', short: 'h' } };
    const { values } = parseArgs({ options: { ...options, ...own } });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    return { parent: values.dir, ...interpret(values) };
  } catch (error) {
    console.error(`${name}: ${error.message}\n${usage}`);
    return process.exit(2);
  }
}

/**
 * Sets up, calls `measure`, prints the report that it resolves to, and resolves to the exit code. Its data goes, however it
 * ends; of a failure the logs stay. With `keep` it is in a folder that stays, and is there the next time.
 *
 * @param {{ name: string, parent: string, bytes: number, smaller: string, keep?: boolean }} bench
 *   `bytes` of free disk that it takes; `smaller` tells how to take less
 */
export async function runBench({ name, parent, bytes, smaller, keep = false }, measure) {
  if (process.platform !== 'linux') {
    console.error(`${name}: CPU time and memory are read from /proc, which only Linux has`);
    return 1;
  }
  setUp();
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => stopping.abort(new Error('interrupted')));
  await mkdir(parent, { recursive: true });
  const lack = await lackOfSpace(parent, bytes);
  if (lack !== undefined) {
    console.error(`${name}: ${lack}; name another place with --dir, or ${smaller}`);
    return 1;
  }
  const folder = keep ? join(resolve(parent), name.replace(':', '-')) : await mkdtemp(join(resolve(parent), 'bench-'));
  await mkdir(folder, { recursive: true });
  const swarms = new BenchSwarms({ folder, signal: stopping.signal });
  process.on('exit', () => swarms.killAll());
  try {
    const say = (text) => console.error(`bench: ${text} ...`);
    const report = await measure({ folder, swarms, say, signal: stopping.signal });
    if (!keep) await rm(folder, { recursive: true, force: true });
    console.log(report);
    return 0;
  } catch (error) {
    const isInterrupted = stopping.signal.aborted;
    await swarms.stopAll();
    if (!keep) await removeData(folder, isInterrupted);
    console.error(`${name}: ${isInterrupted ? 'interrupted' : error.stack}`);
    if (error.cause && !isInterrupted) console.error(error.cause);
    if (!isInterrupted) console.error(`The logs of the programs are in ${folder}.`);
    return isInterrupted ? 130 : 1;
  }
}

async function lackOfSpace(parent, bytes) {
  const { bavail, bsize } = await statfs(parent);
  if (bavail * bsize >= bytes) return undefined;
  const gibibytes = (size) => (size / 2 ** 30).toFixed(1);
  return `${parent} has ${gibibytes(bavail * bsize)} GiB free, and ${gibibytes(bytes)} GiB are needed`;
}

async function removeData(folder, withLogs) {
  for (const entry of await readdir(folder)) {
    if (withLogs || !entry.startsWith('logs')) await rm(join(folder, entry), { recursive: true, force: true });
  }
  if (withLogs) await rm(folder, { recursive: true, force: true });
}

/** Path of a program, undefined when it is not installed. Debian keeps nginx in a folder that is not in everybody's PATH. */
export async function findProgram(name) {
  for (const place of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']) {
    if (place === '') continue;
    const path = join(place, name);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** The number in an option's text; throws when it is no whole number from 1 to `max`. */
export function wholeNumber(option, text, max) {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value;
  throw new Error(`${option} is '${text}', not a whole number from 1 to ${max}`);
}

/** The environment without any setting of Shoal. */
export function plainEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SHOAL_')));
}
