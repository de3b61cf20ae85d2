import { ShoalError } from '../common/errors.js';
import { createLogger } from '../common/log.js';
import type { HandedOver } from '../index-server/api/peers.js';
import { LIMITS } from '../index-server/api/values.js';
import type { ChunkStore } from './chunk-store.js';
import { HandOver, type HandOverProgress, type NotSafe } from './hand-over.js';
import { IndexWait } from './index-wait.js';

const id = (n: number) => n.toString(16).padStart(64, '0');

/** What the index says about a file, one answer after the other, the last one again and again. */
type Script = Readonly<Record<string, readonly (NotSafe | 'safe' | ShoalError)[]>>;

function setUp(script: Script, { files = Object.keys(script), pageMs = 1_000 } = {}) {
  const clock = { nowMs: 0 };
  const asked: string[][] = [];
  const times = new Map<string, number>();
  const seen: HandOverProgress[] = [];
  const pauses: number[] = [];
  let beats = 0;
  const held = files.map((fileId) => ({ id: fileId, size: 100, isComplete: true, records: ['r'] }));
  const answer = (fileId: string) => {
    const answers = script[fileId] ?? ['safe'];
    const time = times.get(fileId) ?? 0;
    times.set(fileId, time + 1);
    return answers[Math.min(time, answers.length - 1)] ?? 'safe';
  };
  const handOver = new HandOver({
    store: { list: () => held as unknown as ReturnType<ChunkStore['list']> },
    index: {
      handOver: async (_auth, _name, { ids }): Promise<HandedOver> => {
        asked.push([...ids]);
        clock.nowMs += pageMs;
        const rest: HandedOver['rest'] = [];
        for (const fileId of ids) {
          const said = answer(fileId);
          if (said instanceof ShoalError) throw said;
          if (said !== 'safe') rest.push({ id: fileId, state: said });
        }
        return { rest };
      },
    },
    membership: { auth: () => ({ bearer: 't' }), peerName: 'p', incarnation: 'incarnation', beatNow: () => beats++ },
    now: () => clock.nowMs,
    delay: async (ms, signal) => {
      signal.throwIfAborted();
      pauses.push(ms);
    },
  });
  const run = (stuckMs = 0, signal = new AbortController().signal) =>
    handOver.run(
      {
        wait: new IndexWait({ log: createLogger({ name: 'test', level: 'silent' }) }, { waitMs: 0 }),
        stuckMs,
        onProgress: (progress) => seen.push(progress),
      },
      signal,
    );
  return { run, asked, seen, pauses, held, beats: () => beats };
}

describe('a hand-over', () => {
  test('ends at once where everything is safe, having asked about all of it', async () => {
    const { run, asked } = setUp({ [id(1)]: ['safe'], [id(2)]: ['safe'] });
    expect(await run()).toEqual({ files: 2, bytes: 200, safeFiles: 2, safeBytes: 200, left: [] });
    expect(asked).toEqual([[id(1), id(2)]]);
  });

  test('asks again about what is being copied, and about everything when that is done', async () => {
    const { run, asked, seen } = setUp({ [id(1)]: ['safe'], [id(2)]: ['copying', 'safe'] });
    expect((await run()).left).toEqual([]);
    expect(asked).toEqual([[id(1), id(2)], [id(2)], [id(1), id(2)]]);
    expect(seen.map(({ safeFiles }) => safeFiles)).toEqual([1, 2, 2]);
  });

  test('starts over with a file whose copy went while others were made', async () => {
    const { run, asked } = setUp({ [id(1)]: ['safe', 'copying', 'safe'], [id(2)]: ['copying', 'safe'] });
    expect((await run()).left).toEqual([]);
    expect(asked.slice(2)).toEqual([[id(1), id(2)], [id(1)], [id(1), id(2)]]);
  });

  test('goes on as long as one file moves, and tells what nobody can take when none does', async () => {
    const { run, asked } = setUp(
      { [id(1)]: ['no_space'], [id(2)]: ['copying', 'copying', 'safe'] },
      { pageMs: 60_000 },
    );
    const { left, safeFiles } = await run(60_000);
    expect(left).toEqual([{ id: id(1), size: 100, state: 'no_space' }]);
    expect(safeFiles).toBe(1);
    // Twice since nothing moves.
    expect(asked).toHaveLength(4);
  });

  test('says that it drains once more where the index has not heard of it', async () => {
    const { run, beats } = setUp({ [id(1)]: [new ShoalError('conflict', 'not draining'), 'safe'] });
    expect((await run()).left).toEqual([]);
    expect(beats()).toBe(1);
  });

  test('fails when the index stays away, and when it is ended', async () => {
    const away = new ShoalError('unavailable', 'away');
    await expect(setUp({ [id(1)]: [away] }).run()).rejects.toBe(away);
    const ended = new ShoalError('conflict', 'taken back');
    await expect(setUp({ [id(1)]: ['copying'] }).run(0, AbortSignal.abort(ended))).rejects.toBe(ended);
  });

  test('leaves who is asked four fifths of the time, and half a second at least', async () => {
    const slow = setUp({ [id(1)]: ['copying', 'safe'] }, { pageMs: 1_000 });
    await slow.run();
    expect(slow.pauses).toEqual([4_000]);
    const quick = setUp({ [id(1)]: ['copying', 'safe'] }, { pageMs: 1 });
    await quick.run();
    expect(quick.pauses).toEqual([500]);
    const away = setUp({ [id(1)]: ['copying', 'safe'] }, { pageMs: 60_000 });
    await away.run();
    expect(away.pauses).toEqual([5_000]);
  });

  test('asks about ten thousand files in pages', async () => {
    const files = Array.from({ length: 10_000 }, (_, n) => id(n));
    const { run, asked } = setUp({ [id(7)]: ['copying', 'safe'] }, { files });
    expect(await run()).toMatchObject({ files: 10_000, left: [] });
    expect(Math.max(...asked.map((page) => page.length))).toBe(LIMITS.handOver);
    expect(asked).toHaveLength(2 * Math.ceil(10_000 / LIMITS.handOver) + 1);
    expect(new Set(asked.slice(0, 40).flat()).size).toBe(10_000);
  });

  test('is not about what is here in part or not published', async () => {
    const { run, held, asked } = setUp({ [id(1)]: ['safe'], [id(2)]: ['safe'], [id(3)]: ['safe'] });
    Object.assign(held[0] ?? {}, { isComplete: false });
    Object.assign(held[1] ?? {}, { records: [] });
    expect((await run()).files).toBe(1);
    expect(asked).toEqual([[id(3)]]);
  });
});
