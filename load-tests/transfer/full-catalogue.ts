import { createPrivateKey, type KeyObject, randomBytes, randomUUID, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecordClaims } from '../../index-server/api/statements.js';
import { LIMITS } from '../../index-server/api/values.js';
import { type Auth, IndexClient } from '../../index-server/client.js';
import type { BenchSwarm } from './environment.js';

/*
 * Fills a catalogue through the door by which it comes back after its store was lost: a peer hands over records that
 * the index itself signed. Publishing as many files one by one would take minutes and measure something else. The
 * records are copies of a real one under other names, signed with the key of the index, which lies in its folder.
 */

const PEER_NAME = 'bench';
const TIMEOUT_MS = 60_000;
const FILES_PER_FOLDER = 1000;

/** The index seen by a peer of ours, which acts as the account `shoal`. */
export interface IndexSeat {
  readonly client: IndexClient;
  readonly auth: Auth;
  /** Withdraws. */
  leave(): Promise<void>;
}

/** Joins a swarm as a peer that holds nothing. */
export async function takeSeat(swarm: BenchSwarm, signal: AbortSignal): Promise<IndexSeat> {
  const client = new IndexClient({}, { baseUrl: swarm.index.url, timeoutMs: TIMEOUT_MS });
  const { peerToken } = await client.join(
    {
      name: PEER_NAME,
      // Nobody is told to dial it: it holds nothing.
      address: '127.0.0.1:1',
      version: '0',
      incarnation: randomUUID(),
      files: 0,
      bytesUsed: 0,
      bytesFree: 0,
    },
    undefined,
    signal,
  );
  const auth = { bearer: peerToken };
  return { client, auth, leave: () => client.withdraw(auth, PEER_NAME, { signal }) };
}

/** Name of file `number`, from 0: folders of 1,000 files, in byte order of the number. */
export function nameOfFile(number: number): string {
  const folder = String(Math.floor(number / FILES_PER_FOLDER)).padStart(4, '0');
  return `set-${folder}/part-${String(number % FILES_PER_FOLDER).padStart(4, '0')}.bin`;
}

/**
 * Adds `count` files to the catalogue, records like that of `example`, a file that is in it. Returns how many seconds
 * that took, which is the time in which the index checked and stored them. Throws when it refused some.
 */
export async function fillCatalogue(
  swarm: BenchSwarm,
  { client, auth }: IndexSeat,
  options: { readonly count: number; readonly example: string; readonly signal: AbortSignal },
): Promise<number> {
  const { record } = await client.locate(auth, { ref: options.example }, options.signal);
  const forge = new RecordForge(record, await signingKey(swarm));
  let answer: Promise<void> = Promise.resolve();
  const beganMs = performance.now();
  for (let first = 0; first < options.count; first += LIMITS.announce) {
    const count = Math.min(LIMITS.announce, options.count - first);
    // Signed while the index is busy with those before.
    const records = Array.from({ length: count }, (_, i) => forge.record(nameOfFile(first + i)));
    await answer;
    answer = handOver({ client, auth }, records, options.signal);
  }
  await answer;
  return (performance.now() - beganMs) / 1000;
}

async function handOver(
  { client, auth }: Pick<IndexSeat, 'client' | 'auth'>,
  records: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { restored } = await client.restore(auth, PEER_NAME, records, signal);
  if (restored !== records.length) throw new Error(`the index took ${restored} of ${records.length} records`);
}

async function signingKey({ index }: BenchSwarm): Promise<KeyObject> {
  return createPrivateKey(await readFile(join(index.folder, 'signing-key.pem')));
}

/** Makes records that differ from a real one in name and id. */
class RecordForge {
  readonly #header: string;
  readonly #claims: RecordClaims;
  readonly #key: KeyObject;

  constructor(record: string, key: KeyObject) {
    const [header = '', payload = ''] = record.split('.');
    this.#header = header;
    this.#claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as RecordClaims;
    this.#key = key;
  }

  record(name: string): string {
    const claims = { ...this.#claims, id: randomBytes(32).toString('hex'), name };
    const signed = `${this.#header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
    return `${signed}.${sign(null, Buffer.from(signed), this.#key).toString('base64url')}`;
  }
}
