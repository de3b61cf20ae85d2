// One program as a child process: started, watched until it is ready, stopped.

import { spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { root } from './setup.mjs';

const READY_MS = 60_000;
const LOG_LINES = 15;

/** A started program. It leads a process group of its own, so a Ctrl-C in the terminal reaches it only through us. */
export class ChildProgram {
  #child;
  #logStart;

  /**
   * @param {object} program from local-swarm.mjs; with a `launcher`, the words of a command that runs what follows it, such
   * as one that enters a network namespace
   */
  constructor(program) {
    this.program = program;
    for (const folder of [...program.folders, dirname(program.logFile)])
      mkdirSync(resolve(root, folder), { recursive: true });
    const log = openSync(resolve(root, program.logFile), 'a');
    this.#logStart = fstatSync(log).size;
    const command = [process.execPath, ...(program.nodeFlags ?? []), join(root, 'dist/peer/cli.js'), program.command];
    const [launcher, ...args] = [...(program.launcher ?? []), ...command];
    this.#child = spawn(launcher, args, {
      cwd: root,
      env: { ...process.env, ...program.environment },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    /** Settles when the process is gone: `{ code, signal }` as Node tells them. */
    this.ended = new Promise((settle) => {
      this.#child.once('error', (error) => settle({ code: null, signal: null, error }));
      this.#child.once('exit', (code, signal) => settle({ code, signal }));
    });
  }

  get name() {
    return this.program.name;
  }

  get pid() {
    return this.#child.pid;
  }

  get isRunning() {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  kill(signal) {
    if (this.isRunning) this.#child.kill(signal);
  }

  /** Resolves to true when the program answers `GET /readyz`, to false when it ended, took too long, or `signal` fired. */
  async becomesReady(signal) {
    const deadline = Date.now() + READY_MS;
    while (this.isRunning && !signal.aborted && Date.now() < deadline) {
      if (await answersOk(`${this.program.url}/readyz`)) return this.isRunning;
      await wait(100);
    }
    return false;
  }

  /** The last lines that it has logged since this start. */
  lastLog() {
    const text = readFileSync(resolve(root, this.program.logFile)).subarray(this.#logStart).toString('utf8').trimEnd();
    return text === '' ? ['(nothing)'] : text.split('\n').slice(-LOG_LINES);
  }
}

async function answersOk(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/** The error code when nobody can listen on this port of 127.0.0.1 now, such as EADDRINUSE; undefined when it is free. */
export function portTrouble(port) {
  return new Promise((settle) => {
    const server = createServer();
    server.once('error', (error) => settle(error.code));
    server.listen(port, '127.0.0.1', () => server.close(() => settle(undefined)));
  });
}
