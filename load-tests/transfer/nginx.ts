import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { BenchEnvironment } from './environment.js';

const START_MS = 10_000;
const LOOPBACK = '127.0.0.1';
const STATUS_NO_FOLDER_LISTING = 403;

/** An nginx in one process that serves a folder. */
export interface Nginx {
  readonly pid: number;
  readonly url: string;
  stop(): Promise<void>;
}

/** How to start one; on loopback, unless said otherwise. */
export interface NginxOptions {
  readonly program: string;
  readonly port: number;
  readonly served: string;
  readonly signal: AbortSignal;
  /** Put before the command, such as what enters a network namespace. */
  readonly launcher?: readonly string[];
  /** Where it listens. */
  readonly address?: string;
  /** Where it is reached from here, if that is not where it listens. */
  readonly reachedAt?: string;
}

/** Starts nginx as people set it up to send files: sendfile, no log. Rejects when it is not ready in time. */
export async function startNginx(
  { folder, environment }: Pick<BenchEnvironment, 'folder' | 'environment'>,
  options: NginxOptions,
): Promise<Nginx> {
  const { program, port, served, signal, launcher = [], address = LOOPBACK, reachedAt = address } = options;
  const configuration = join(folder, 'nginx.conf');
  await writeFile(configuration, configurationOf({ folder, address, port, served }));
  const [command = program, ...args] = [...launcher, program, '-e', 'stderr', '-p', folder, '-c', configuration];
  const child = spawn(command, args, {
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const url = `http://${reachedAt}:${port}`;
  try {
    await untilItAnswers(child, url, signal);
  } catch (cause) {
    child.kill('SIGKILL');
    throw new Error(`nginx did not start: ${said.trim()}`, { cause });
  }
  return { pid: child.pid as number, url, stop: () => stop(child) };
}

function configurationOf({
  folder,
  address,
  port,
  served,
}: {
  readonly folder: string;
  readonly address: string;
  readonly port: number;
  readonly served: string;
}): string {
  const passing = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off;
master_process off;
worker_processes 1;
pid "${folder}/nginx.pid";
events { worker_connections 512; }
http {
  sendfile on;
  tcp_nopush on;
  access_log off;
  keepalive_requests 1000000;
  default_type application/octet-stream;
  ${passing.map((name) => `${name}_temp_path "${folder}/nginx-${name}";`).join('\n  ')}
  server {
    listen ${address}:${port};
    root "${served}";
  }
}
`;
}

async function untilItAnswers(child: ChildProcess, url: string, signal: AbortSignal): Promise<void> {
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`it ended with exit code ${code}`)));
  });
  const deadline = Date.now() + START_MS;
  const answers = async () => {
    while (!(await answersAt(url))) {
      signal.throwIfAborted();
      if (Date.now() > deadline) throw new Error(`it did not answer within ${START_MS / 1000} s`);
      await wait(20);
    }
  };
  await Promise.race([answers(), failed]);
  failed.catch(() => undefined);
}

async function answersAt(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.arrayBuffer();
    return response.status === STATUS_NO_FOLDER_LISTING;
  } catch {
    // Not listening yet; whoever waits has a deadline.
    return false;
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}
