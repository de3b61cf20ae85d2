import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { portTrouble } from './child-program.mjs';
import { makeClone, run } from './testing/clone.js';

// Each builds a clone and starts processes.
import.meta.jest.setTimeout(60_000);

/** A program that does nothing but live, be ready and stop; it obeys `STUB_FAILS=NAME`. */
const STUB = `#!/usr/bin/env node
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
const name = process.argv[2] === 'index' ? 'index' : process.env.SHOAL_PEER_NAME;
if (process.env.STUB_FAILS === name) { console.log('no luck today'); process.exit(3); }
const server = createServer((request, response) => response.writeHead(request.url === '/readyz' ? 200 : 404).end());
server.listen(Number(name === 'index' ? process.env.SHOAL_INDEX_PORT : process.env.SHOAL_HTTP_PORT), '127.0.0.1');
appendFileSync('data/events', 'start ' + name + '\\n');
process.on('SIGTERM', () => {
  appendFileSync('data/events', 'stop ' + name + '\\n');
  process.exit(0);
});
process.on('SIGUSR2', () => { console.log('a bug'); process.exit(7); });
`;

let clone: string;
let port: number;
const started: ChildProcess[] = [];

beforeEach(async () => {
  clone = await makeClone(STUB);
  port = await freePort();
});

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'close');
    }
  }
  await rm(clone, { recursive: true, force: true });
});

/**
 * A port whose neighbours are free too. Above those of the benches, whose tests run at the same time, and below those that
 * systems give out: what is free now is taken only when a program has started.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const candidate = 30_010 + Math.floor(Math.random() * 2_700);
    const around = [-4, -3, -2, -1, 0, 1, 2, 3, 4].map((offset) => portTrouble(candidate + offset));
    if ((await Promise.all(around)).every((trouble) => trouble === undefined)) return candidate;
  }
}

class Start {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  output = '';

  constructor(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [join(clone, 'scripts/start.mjs'), '--port', String(port), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    started.push(this.child);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    this.ended = once(this.child, 'close').then(([code]) => code as number | null);
  }

  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.output);
      if (match) return match;
      if (this.child.exitCode !== null) throw new Error(`ended without saying ${pattern}:\n${this.output}`);
      await tick();
    }
  }

  async pidOf(name: string): Promise<number> {
    return Number((await this.says(new RegExp(`^  ${name} .* (\\d+)$`, 'm')))[1]);
  }
}

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));
const events = async (): Promise<string[]> => (await readFile(join(clone, 'data/events'), 'utf8')).trim().split('\n');

test('starts the index, then the peers; stops the peers, then the index', async () => {
  const start = new Start();
  await start.says(/In another terminal/);
  expect(start.output).toContain('SHOAL_SOCKET=data/peer-2/control.sock npx shoal get sample.bin');
  expect(start.output).toContain(`curl -sS http://127.0.0.1:${port + 1}/clogin`);
  start.child.kill('SIGINT');
  // Under npm the signal comes twice.
  start.child.kill('SIGINT');
  expect(await start.ended).toBe(0);
  const seen = await events();
  expect(seen[0]).toBe('start index');
  expect(seen.slice(1, 4).sort()).toEqual(['start peer-1', 'start peer-2', 'start peer-3']);
  expect(seen.slice(4, 7).sort()).toEqual(['stop peer-1', 'stop peer-2', 'stop peer-3']);
  expect(seen.slice(7)).toEqual(['stop index']);
});

test('goes on without a peer that was killed, and says how to start it again', async () => {
  const start = new Start(['--peers', '2']);
  process.kill(await start.pidOf('peer-2'), 'SIGKILL');
  await start.says(new RegExp(`peer-2 was ended by SIGKILL.*npm start -- --port ${port} --peer 2`));
  const again = new Start(['--peer', '2']);
  await again.says(/peer-2 runs/);
  again.child.kill('SIGTERM');
  expect(await again.ended).toBe(0);
  start.child.kill('SIGTERM');
  expect(await start.ended).toBe(0);
  expect(await events()).toEqual(expect.arrayContaining(['start peer-2', 'stop peer-2', 'stop peer-1', 'stop index']));
});

test('stops all when a program fails while it runs, and shows its last words', async () => {
  const start = new Start(['--peers', '2']);
  process.kill(await start.pidOf('peer-2'), 'SIGUSR2');
  expect(await start.ended).toBe(1);
  expect(start.output).toMatch(/peer-2 ended with exit code 7\. The end of data\/logs\/peer-2\.log:\n {2}a bug\n/);
  expect((await events()).slice(-2)).toEqual(['stop peer-1', 'stop index']);
});

test('stops all when a program fails at its start', async () => {
  const start = new Start(['--peers', '1'], { STUB_FAILS: 'peer-1' });
  expect(await start.ended).toBe(1);
  expect(start.output).toMatch(/peer-1 ended with exit code 3\. .*\n {2}no luck today\n/);
  expect(await events()).toEqual(['start index', 'stop index']);
});

test('says which port is taken and starts nothing', async () => {
  const server: Server = createServer().listen(port - 2, '127.0.0.1');
  await once(server, 'listening');
  const start = new Start();
  expect(await start.ended).toBe(1);
  server.close();
  expect(start.output).toContain(`port ${port - 2}, which peer-2 needs, is taken by another program`);
  await expect(events()).rejects.toThrow('ENOENT');
});

test.each([
  [['--peers', '0'], "--peers is '0', not a whole number from 1 to 50"],
  [['--peer', 'x'], "--peer is 'x', not a whole number from 1 to 50"],
  [['--peer', '1', '--peers', '2'], 'give --peers or --peer, not both'],
  [['--data', 'package.json'], "--data is 'package.json', not a folder"],
  [['--data', 'package.json/x'], "--data is 'package.json/x', not a folder"],
  [['--bogus'], "Unknown option '--bogus'"],
])('refuses %j', async (args, message) => {
  const result = await run(process.execPath, [join(clone, 'scripts/start.mjs'), ...args]);
  expect(result.code).toBe(2);
  expect(result.err).toContain(message);
});
