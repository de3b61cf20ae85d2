import { createHash } from 'node:crypto';
import { ShoalError } from '../../common/errors.js';
import { VERSION } from '../../common/version.js';
import type { Check } from '../../proto/gen/shoal/control/v1/Check.js';
import type { PutStart__Output } from '../../proto/gen/shoal/control/v1/PutStart.js';

/** A file of the fake catalogue. Its id is the SHA-256 of its bytes, which is nobody's promise. */
export interface FakeFile {
  entry: {
    readonly id: string;
    readonly name: string;
    readonly owner: string;
    readonly size: number;
    tags: Record<string, string>;
    visibility: string;
    readonly publishedAt: string;
  };
  readonly content: Buffer;
  readonly sha256: string;
  readonly chunks: number;
  damagedChunks: number;
  readers: string[];
}

/** Answers one kind of request, for the holder of a session or for nobody. */
// biome-ignore lint/suspicious/noExplicitAny: each answer knows its own request
export type Answer = (request: any, session: string | undefined) => object;

const CHUNK_BYTES = 65_536;
const PUBLISHED_AT = '2026-01-02T03:04:05.000Z';
const EXPIRES_AT = '2026-02-02T03:04:05.000Z';
const PAGE = 2;

/** Files and users in memory, with answers to the calls that are one request and one response. */
export class FakeCatalogue {
  readonly files: FakeFile[] = [];
  readonly passwords = new Map<string, string>();
  /** Session token to user name. */
  readonly sessions = new Map<string, string>();
  checks: Check[] = [{ name: 'index', result: 'CHECK_RESULT_OK', detail: 'answers', hint: '' }];
  version = VERSION;

  publish(start: PutStart__Output, content: Buffer, session: string | undefined): FakeFile {
    const sha256 = createHash('sha256').update(content).digest('hex');
    const file: FakeFile = {
      entry: {
        id: sha256,
        name: start.name,
        owner: this.#caller(session),
        size: content.length,
        tags: start.tags,
        visibility: start.visibility || 'public',
        publishedAt: PUBLISHED_AT,
      },
      content,
      sha256,
      chunks: Math.ceil(content.length / CHUNK_BYTES),
      damagedChunks: 0,
      readers: [...start.readers],
    };
    this.files.push(file);
    return file;
  }

  /** Adds a public file of the peer's own account. */
  add(name: string, content: string | Buffer, tags: Record<string, string> = {}): FakeFile {
    const start = { name, tags, visibility: '', readers: [], source: null, noWait: false };
    return this.publish(start, Buffer.from(content as Buffer), undefined);
  }

  resolve(ref: string, session: string | undefined): FakeFile {
    this.#caller(session);
    const found = this.files.find(({ entry }) => [entry.id, entry.name, `${entry.owner}/${entry.name}`].includes(ref));
    if (found !== undefined) return found;
    throw new ShoalError('not_found', `there is no file '${ref}'`, { hint: 'list them with: shoal ls' });
  }

  answers(): Record<string, Answer> {
    return { ...this.#fileAnswers(), ...this.#swarmAnswers(), ...this.#accountAnswers() };
  }

  #fileAnswers(): Record<string, Answer> {
    return {
      List: ({ prefix, tags, owner, limit, page }, session) => {
        this.#caller(session);
        const found = this.files.filter(
          ({ entry }) =>
            entry.name.startsWith(prefix) &&
            (owner === '' || entry.owner === owner) &&
            tags.every((tag: string) => Object.entries(entry.tags).some((pair) => pair.join('=') === tag)),
        );
        return pageOf(found, limit, page);
      },
      Find: ({ text, limit, page }, session) => {
        this.#caller(session);
        return pageOf(
          this.files.filter(({ entry }) => text.split(' ').every((word: string) => entry.name.includes(word))),
          limit,
          page,
        );
      },
      Stat: ({ ref }, session) => {
        const file = this.resolve(ref, session);
        return {
          file: file.entry,
          sha256: file.sha256,
          chunkBytes: CHUNK_BYTES,
          chunks: file.chunks,
          replicas: 2,
          version: 1,
          readers: file.readers,
          holders: [
            { peer: 'peer-1', address: '127.0.0.1:4999', complete: true },
            { peer: 'peer-2', address: '127.0.0.1:4998', complete: false },
          ],
        };
      },
      Remove: ({ ref }, session) => {
        this.files.splice(this.files.indexOf(this.resolve(ref, session)), 1);
        return { removed: 1 };
      },
      Tag: ({ ref, set, unset }, session) => {
        const file = this.resolve(ref, session);
        const kept = Object.entries({ ...file.entry.tags, ...set }).filter(([key]) => !unset.includes(key));
        file.entry.tags = Object.fromEntries(kept) as Record<string, string>;
        return { file: file.entry };
      },
      Share: ({ ref, visibility, addReaders, removeReaders }, session) => {
        const file = this.resolve(ref, session);
        file.entry.visibility = visibility || file.entry.visibility;
        file.readers = [...file.readers, ...addReaders].filter((reader) => !removeReaders.includes(reader));
        return { file: file.entry, readers: file.readers };
      },
    };
  }

  #swarmAnswers(): Record<string, Answer> {
    return {
      ListPeers: () => ({
        peers: [
          { ...peer('peer-1', 'live'), files: this.files.length, bytesUsed: 3 * 1024 ** 3, bytesFree: 6 * 1024 ** 4 },
          peer('peer-2', 'gone'),
        ],
      }),
      PingPeer: (request) => {
        if (request.peer !== 'peer-2') throw new ShoalError('not_found', `there is no peer '${request.peer}'`);
        return { address: '127.0.0.1:4998', connectMs: 1.94, roundTripMs: 0.41, version: VERSION };
      },
      Status: () => ({
        peer: 'peer-1',
        address: '127.0.0.1:4999',
        version: this.version,
        state: 'live',
        indexUrl: 'http://127.0.0.1:5000',
        indexReachable: true,
        indexError: '',
        uptimeSeconds: 7265,
        files: this.files.length,
        bytesUsed: 1024,
        bytesFree: 2048,
        livePeers: 3,
      }),
      Diagnose: () => ({ checks: this.checks }),
    };
  }

  #accountAnswers(): Record<string, Answer> {
    return {
      Register: ({ username, password }) => {
        if (this.passwords.has(username)) throw new ShoalError('conflict', `the name '${username}' is taken`);
        this.passwords.set(username, password);
        return this.#newSession(username);
      },
      Login: ({ username, password }) => {
        if (this.passwords.get(username) !== password) {
          throw new ShoalError('unauthenticated', 'wrong user name or password', { hint: 'mind the caps lock' });
        }
        return this.#newSession(username);
      },
      Logout: (_request, session) => {
        this.#caller(session);
        this.sessions.delete(session ?? '');
        return {};
      },
      WhoAmI: (_request, session) => ({
        username: this.#caller(session),
        peerAccount: session === undefined,
        expiresAt: session === undefined ? '' : EXPIRES_AT,
      }),
      ChangePassword: ({ currentPassword, newPassword }, session) => {
        const username = this.#caller(session);
        if (this.passwords.get(username) !== currentPassword) {
          throw new ShoalError('unauthenticated', 'the current password is wrong');
        }
        this.passwords.set(username, newPassword);
        return {};
      },
    };
  }

  #newSession(username: string): object {
    const session = `session-${this.sessions.size + 1}-of-${username}`;
    this.sessions.set(session, username);
    return { username, session, expiresAt: EXPIRES_AT };
  }

  /** Who a session belongs to; the peer's own account without one. */
  #caller(session: string | undefined): string {
    if (session === undefined) return 'shoal';
    const username = this.sessions.get(session);
    if (username === undefined) throw new ShoalError('unauthenticated', 'the session is over');
    return username;
  }
}

function peer(name: string, state: string): object {
  return { name, address: '127.0.0.1:4999', state, files: 0, bytesUsed: 0, bytesFree: 0, version: VERSION };
}

function pageOf(files: readonly FakeFile[], limit: number, page: string): object {
  const from = page === '' ? 0 : Number(page);
  const to = from + (limit || PAGE);
  return {
    files: files.slice(from, to).map((file) => file.entry),
    nextPage: to < files.length ? String(to) : '',
  };
}
