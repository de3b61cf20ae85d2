import { ShoalError } from '../../common/errors.js';
import { createLogger } from '../../common/log.js';
import type { ExchangeRequest } from '../../proto/gen/shoal/peer/v1/ExchangeRequest.js';
import { ChunkSet } from '../chunk-set.js';
import { type Manifest, manifestOf } from '../manifest.js';
import type { StoredFile } from '../stored-file.js';
import { Candidates } from './candidates.js';
import { Conversations } from './conversations.js';
import type { ExchangeDialer, ExchangeListener } from './exchange-dialer.js';

const log = createLogger({ name: 'test', level: 'silent' });
const MANIFEST: Manifest = manifestOf(Buffer.alloc(4 * 65_536));
const NO_HAVE = Buffer.alloc(1);

/** The other end of one conversation. */
interface OtherEnd {
  readonly listener: ExchangeListener;
  readonly requests: ExchangeRequest[];
  closed: string | undefined;
}

function start(names: readonly string[], { maxNeighbours = 9 } = {}) {
  const others = new Map<string, OtherEnd>();
  const told: string[] = [];
  const reports: string[] = [];
  const candidates = new Candidates('me');
  for (const peer of names) candidates.add({ peer, address: peer }, false);
  const exchanges = {
    open: (address: string, _ticket: string, listener: ExchangeListener) => {
      const other: OtherEnd = { listener, requests: [], closed: undefined };
      others.set(address, other);
      return {
        send: (request: ExchangeRequest) => other.requests.push(request),
        close: (why?: string) => {
          other.closed = why ?? 'closed';
        },
      };
    },
  } as unknown as ExchangeDialer;
  const conversations = new Conversations(
    {
      exchanges,
      membership: { peerName: 'me', address: 'me:1', swarmToken: undefined, livePeers: [] },
      candidates,
      log,
      now: () => 0,
      report: (id, peer) => reports.push(`${id}/${peer}`),
      listener: {
        onAnswered: (name) => told.push(`answered ${name}`),
        onHave: (name, chunks) => told.push(`have ${name} ${chunks}`),
        onBytes: (name, bytes) => told.push(`bytes ${name} ${bytes}`),
        onChunk: (name, chunk) => told.push(`chunk ${name} ${chunk}`),
        onRefused: (name, chunks, any) => told.push(`refused ${name} ${chunks} ${any}`),
        onLeft: (name, parting) => told.push(`left ${name} ${parting}`),
      },
    },
    { fileId: MANIFEST.id, maxNeighbours, silentMs: 1_000 },
  );
  const at = (name: string) => others.get(name) as OtherEnd;
  const answer = (name: string, extra: object = {}) => {
    const opened = { have: NO_HAVE, records: [], peers: [], manifestBytes: MANIFEST.encoded.length, ...extra };
    at(name).listener.onNews({ message: { opened } as never });
    at(name).listener.onNews({ message: { manifestPart: { data: MANIFEST.encoded } } as never });
  };
  return { conversations, candidates, others, told, reports, at, answer };
}

function fileWith(...chunks: number[]): StoredFile {
  const have = new ChunkSet(MANIFEST.chunkCount);
  for (const chunk of chunks) have.add(chunk);
  return { manifest: MANIFEST, have } as unknown as StoredFile;
}

const ANY = { kind: 'want', chunks: [], any: 2 } as const;

describe('conversations', () => {
  it('are no more than there is room for', () => {
    const { conversations, others } = start(['a', 'b', 'c'], { maxNeighbours: 2 });
    conversations.dial('ticket', 0);
    expect([...others.keys()]).toEqual(['a', 'b']);
    expect(conversations.count).toBe(2);
    conversations.expel('a');
    conversations.dial('ticket', 0);
    expect([...others.keys()]).toEqual(['a', 'b', 'c']);
  });

  it('ask for the manifest until the file is known, and then say what is here', () => {
    const { conversations, candidates, at } = start(['a']);
    conversations.dial('ticket', 0);
    expect(at('a').requests[0]?.open).toMatchObject({ fileId: MANIFEST.id, peer: 'me', wantManifest: true });
    conversations.begin(fileWith(0, 2));
    candidates.add({ peer: 'b', address: 'b' }, false);
    conversations.dial('ticket', 0);
    expect(at('b').requests[0]?.open).toMatchObject({ wantManifest: false, have: Buffer.from([0b101]) });
  });

  it('tell what has come to a neighbour that is to choose, once, and to no other', () => {
    const { conversations, at, answer } = start(['a', 'b']);
    conversations.dial('ticket', 0);
    for (const name of ['a', 'b']) answer(name);
    conversations.begin(fileWith(3));
    conversations.noteArrival(1);
    conversations.carryOut({ ...ANY, neighbour: 'a' });
    conversations.carryOut({ kind: 'want', neighbour: 'b', chunks: [2], any: 0 });
    conversations.carryOut({ ...ANY, neighbour: 'a' });
    conversations.carryOut({ ...ANY, neighbour: 'gone' });
    const want = { want: { chunks: [], any: 2 } };
    expect(at('a').requests.slice(1)).toEqual([{ have: { chunks: [3, 1] } }, want, want]);
    expect(at('b').requests.slice(1)).toEqual([{ want: { chunks: [2], any: 0 } }]);
  });

  it('count what comes, and from whom', () => {
    const { conversations, told, at, answer } = start(['a', 'b']);
    conversations.dial('ticket', 0);
    answer('a');
    for (const offset of [0, 30_000]) {
      const data = Buffer.alloc(offset === 0 ? 30_000 : 35_536);
      at('a').listener.onNews({ part: { index: 1, offset, data } });
    }
    expect(told).toEqual(['answered a', 'bytes a 30000', 'bytes a 35536', 'chunk a 1']);
    expect([conversations.receivedBytes, conversations.senderCount]).toEqual([65_536, 1]);
  });

  it('end with who does not answer, or owes something, for too long', () => {
    const { conversations, told, at, answer } = start(['a', 'b', 'c']);
    conversations.dial('ticket', 0);
    answer('b');
    answer('c');
    conversations.dropSilent([], 999);
    expect(conversations.count).toBe(3);
    conversations.dropSilent(['c'], 1_000);
    expect(told.slice(2)).toEqual(['left c silent', 'left a silent']);
    expect([at('a').closed, at('b').closed, at('c').closed]).toEqual(['silent', undefined, 'silent']);
    expect(conversations.answered).toEqual(['b']);
  });

  it('know who has told what, until it has left', () => {
    const { conversations, at, answer } = start(['a']);
    conversations.dial('ticket', 0);
    answer('a');
    at('a').listener.onNews({ message: { have: { chunks: [2] } } as never });
    expect([conversations.hasTold('a', 2), conversations.hasTold('a', 3)]).toEqual([true, false]);
    expect([...(conversations.otherHas('a') ?? [])]).toEqual([2]);
    at('a').listener.onNews({ message: { bye: { reason: '' } } as never });
    expect(conversations.hasTold('a', 2)).toBe(false);
    expect(conversations.otherHas('a')).toBeUndefined();
  });

  it('blame who breaks the protocol, and never dial it again', () => {
    const { conversations, candidates, told, reports, at, answer } = start(['a']);
    conversations.dial('ticket', 0);
    answer('a');
    at('a').listener.onNews({ part: { index: 4, offset: 0, data: Buffer.alloc(1) } });
    expect(told.at(-1)).toBe('left a ended');
    expect(reports).toEqual([`${MANIFEST.id}/a`]);
    expect(conversations.sawDamage).toBe(true);
    expect(candidates.take(9, Number.POSITIVE_INFINITY)).toEqual([]);
  });

  it('go on with one whose copy is damaged, as long as there is hope for another', () => {
    const { conversations, told, reports, answer } = start(['a', 'b']);
    conversations.dial('ticket', 0);
    answer('a', { damaged: true });
    expect([conversations.sawDamage, conversations.isNobodyGood]).toEqual([true, false]);
    answer('b', { damaged: true });
    expect(conversations.isNobodyGood).toBe(true);
    expect([told, reports]).toEqual([['answered a', 'answered b'], []]);
  });

  it('remember an error that says what to do, and no other', () => {
    const { conversations, at } = start(['a', 'b']);
    conversations.dial('ticket', 0);
    at('a').listener.onEnd(new ShoalError('unavailable', 'gone'));
    expect(conversations.trouble).toBeUndefined();
    const denied = new ShoalError('denied', 'who are you', { hint: 'get a certificate' });
    at('b').listener.onEnd(denied);
    expect(conversations.trouble).toBe(denied);
  });

  it('are all closed at the end, without a word', () => {
    const { conversations, told, at } = start(['a', 'b']);
    conversations.dial('ticket', 0);
    conversations.close();
    expect([at('a').closed, at('b').closed, conversations.count, told]).toEqual(['closed', 'closed', 0, []]);
  });
});
