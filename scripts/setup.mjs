// Brings a clone to the state in which the other scripts can run: packages installed, gRPC types generated, programs
// built, `npx shoal` linked. Runs before anything is installed, so it may import nothing but Node. Each step asks first
// whether its result is current; when all are, set-up takes a few milliseconds and says nothing.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the clone. */
export const root = fileURLToPath(new URL('..', import.meta.url));

const lockFile = join(root, '.setup.lock');
const toRead = [
  { title: 'installing packages', isDone: packagesAreInstalled, run: installPackages },
  { title: 'generating gRPC types', isDone: typesAreCurrent, run: generateTypes },
];
const toRun = [
  { title: 'building', isDone: buildIsCurrent, run: build },
  { title: undefined, isDone: commandIsLinked, run: linkCommand },
];

/**
 * Does what is missing and tells on stderr what it does. Ends the process with one line and exit code 1 when that
 * fails. Safe to call from several processes at once: one works, the others wait for it. Without a build it is enough
 * for tools that only read sources.
 */
export function setUp({ isBuildWanted } = { isBuildWanted: true }) {
  const steps = isBuildWanted ? [...toRead, ...toRun] : toRead;
  try {
    requireNode(process.versions.node);
    if (steps.every((step) => step.isDone())) return;
    withLock(() => {
      for (const step of steps) {
        if (step.isDone()) continue;
        if (step.title) console.error(`set-up: ${step.title} ...`);
        step.run();
      }
    });
  } catch (error) {
    console.error(`set-up: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}

/** Throws when the version of Node is too old, with a message that says what to do. */
export function requireNode(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new Error(`Shoal needs Node 20.19 or newer, and this is Node ${version}. See https://nodejs.org/en/download.`);
}

// --- packages ---

/** Compares what is wanted with npm's own record of what it installed, so `npm install` by hand is as good as ours. */
function packagesAreInstalled() {
  const installed = readPackages(join(root, 'node_modules/.package-lock.json'));
  const wanted = readPackages(join(root, 'package-lock.json'));
  if (!installed || !wanted) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    const found = installed[path];
    // What is optional belongs, mostly, to another platform.
    return path === '' || (found ? found.version === entry.version : entry.optional || entry.devOptional);
  });
}

function readPackages(lockPath) {
  if (!existsSync(lockPath)) return undefined;
  return JSON.parse(readFileSync(lockPath, 'utf8')).packages;
}

function installPackages() {
  // No dependency needs its install script, so none may run one.
  run('npm', ['ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
}

// --- gRPC types ---

function typesAreCurrent() {
  return readStamp('proto/gen') === typesStamp();
}

function typesStamp() {
  return fingerprint([...protoFiles(), 'scripts/setup.mjs', 'scripts/describe-protos.mjs', 'package-lock.json']);
}

function protoFiles() {
  return filesBelow('proto', (name) => name.endsWith('.proto'));
}

function generateTypes() {
  // The loader in common/ must be given the same options: they decide what a message looks like in memory.
  const options = ['--longs=Number', '--enums=String', '--defaults', '--oneofs'];
  const paths = protoFiles().map((path) => relative('proto', path));
  replaceFolder('proto/gen', typesStamp(), (next) => {
    run(process.execPath, [
      'node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js',
      ...options,
      '--grpcLib=@grpc/grpc-js',
      '--importFileExtension=.js',
      '--includeComments',
      '--includeDirs=proto',
      `--outDir=${next}`,
      ...paths,
    ]);
    // Commands go without the loader, which takes longer than most answers.
    run(process.execPath, ['scripts/describe-protos.mjs', next, ...paths]);
  });
}

// --- build ---

function buildIsCurrent() {
  return readStamp('dist') === buildStamp();
}

function buildStamp() {
  const folders = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !/^(\..*|node_modules|dist.*|data|coverage)$/.test(entry.name))
    .map((entry) => entry.name);
  const sources = folders.flatMap((folder) => filesBelow(folder, isBuilt));
  return fingerprint(['tsconfig.json', 'tsconfig.build.json', ...sources]);
}

function isBuilt(name) {
  return /\.(ts|proto)$/.test(name) && !name.endsWith('.test.ts');
}

function build() {
  replaceFolder('dist', buildStamp(), (next) => {
    run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', next]);
    const command = join(root, next, 'peer/cli.js');
    if (existsSync(command)) chmodSync(command, 0o755);
  });
}

// --- the command ---

const link = join(root, 'node_modules/.bin/shoal');
const linkTarget = '../../dist/peer/cli.js';

function commandIsLinked() {
  try {
    return readlinkSync(link) === linkTarget;
  } catch {
    return false;
  }
}

/** A link to the program itself, not a wrapper: signals, exit codes and start-up time are the program's own. */
function linkCommand() {
  mkdirSync(join(link, '..'), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(linkTarget, link);
}

// --- helpers ---

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  if (result.error) throw new Error(`${command} did not start: ${result.error.message}`);
  if (result.status === 0) return;
  process.stderr.write(result.stdout + result.stderr);
  const line = [command.replace(process.execPath, 'node'), ...args].join(' ');
  throw new Error(`failed (${result.signal ?? `exit code ${result.status}`}): ${line}`);
}

function filesBelow(folder, isWanted) {
  const found = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !path.startsWith(join('proto', 'gen'))) found.push(...filesBelow(path, isWanted));
    else if (entry.isFile() && isWanted(entry.name)) found.push(path);
  }
  return found.sort();
}

/** Contents, not times: a checkout of an older commit must count as a change, and a touched file must not. */
function fingerprint(paths) {
  const hash = createHash('sha256');
  for (const path of paths)
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update('\0');
  return hash.digest('hex');
}

function readStamp(folder) {
  const stamp = join(root, folder, '.stamp');
  return existsSync(stamp) ? readFileSync(stamp, 'utf8') : undefined;
}

/** Makes a folder anew beside the old one, then swaps them: a step that fails or is killed leaves the old one whole. */
function replaceFolder(folder, stamp, make) {
  const next = `${folder}.next`;
  const old = `${folder}.old`;
  for (const leftover of [next, old]) rmSync(join(root, leftover), { recursive: true, force: true });
  mkdirSync(join(root, next), { recursive: true });
  make(next);
  writeFileSync(join(root, next, '.stamp'), stamp);
  if (existsSync(join(root, folder))) renameSync(join(root, folder), join(root, old));
  renameSync(join(root, next), join(root, folder));
  rmSync(join(root, old), { recursive: true, force: true });
}

/** Runs `work` while no other process does. The lock names its holder, so that one left by a killed process is void. */
function withLock(work) {
  const claim = `${lockFile}.${process.pid}`;
  writeFileSync(claim, String(process.pid));
  try {
    for (let isWaiting = false; !tryLink(claim); isWaiting = true) {
      if (!isWaiting) console.error('set-up: waiting for another set-up of this clone ...');
      if (holderIsGone()) rmSync(lockFile, { force: true });
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  } finally {
    rmSync(claim, { force: true });
  }
  try {
    work();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

function tryLink(claim) {
  try {
    linkSync(claim, lockFile);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function holderIsGone() {
  try {
    process.kill(Number(readFileSync(lockFile, 'utf8')), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setUp();
