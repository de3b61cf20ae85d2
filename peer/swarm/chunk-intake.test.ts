import { Deferred } from '../../common/deferred.js';
import { ShoalError } from '../../common/errors.js';
import { ChunkIntake } from './chunk-intake.js';

/** An intake whose disk ends each write when it is told to; `log` has all that happened, in order. */
function start() {
  const log: string[] = [];
  const writes: Deferred<boolean>[] = [];
  const written: unknown[] = [];
  const here = new Set<number>();
  const over = new AbortController();
  let nowMs = 2_500;
  const intake = new ChunkIntake(
    {
      file: {
        writeChunk: (_chunk, data) => {
          written.push(data);
          const write = new Deferred<boolean>();
          writes.push(write);
          return write.promise;
        },
      },
      picker: {
        arrived: (name, chunk) => {
          log.push(`arrived ${name} ${chunk}`);
          const isNew = !here.has(chunk);
          here.add(chunk);
          return isNew ? 'new' : 'duplicate';
        },
      },
      exchanges: { keep: () => log.push('keep'), giveBack: () => log.push('give back') },
      observer: {
        chunk: (result) => log.push(`chunk ${result}`),
        firstByte: (seconds) => log.push(`first after ${seconds} s`),
      },
      listener: {
        onKept: (name, chunk, isNew) => log.push(`kept ${name} ${chunk} ${isNew}`),
        onWrong: (name, chunk) => log.push(`wrong ${name} ${chunk}`),
        onFailed: ({ code }) => log.push(`failed ${code}`),
      },
      now: () => nowMs,
      signal: over.signal,
    },
    { startedAtMs: 1_000 },
  );
  const end = async (settle: (write: Deferred<boolean>) => void) => {
    for (const write of writes.splice(0)) settle(write);
    await intake.settled();
    nowMs += 1_000;
    return log.splice(0);
  };
  return { intake, end, over, log, written };
}

describe('a chunk that came', () => {
  it('is told of when it is written, and its memory given back after that', async () => {
    const { intake, end } = start();
    intake.take('a', 7, [Buffer.from('x')]);
    expect(await end((write) => write.resolve(true))).toEqual([
      'keep',
      'arrived a 7',
      'chunk ok',
      'first after 1.5 s',
      'kept a 7 true',
      'give back',
    ]);
    intake.take('b', 8, [Buffer.from('x')]);
    expect(await end((write) => write.resolve(true))).not.toContain('first after 2.5 s');
  });

  it('is written as it came, in one part or in several', () => {
    const { intake, written } = start();
    const [one, two] = [Buffer.from('1'), Buffer.from('2')];
    intake.take('a', 0, [one]);
    intake.take('a', 1, [one, two]);
    expect(written[0]).toBe(one);
    expect(written[1]).toEqual([one, two]);
  });

  it('counts as a duplicate when it is here, or came from two at once', async () => {
    const { intake, end } = start();
    intake.take('a', 7, [Buffer.from('x')]);
    expect(await end((write) => write.resolve(false))).toEqual([
      'keep',
      'arrived a 7',
      'chunk duplicate',
      'kept a 7 false',
      'give back',
    ]);
  });

  it('is blamed on who sent it when it is wrong', async () => {
    const { intake, end } = start();
    intake.take('a', 7, [Buffer.from('x')]);
    expect(await end((write) => write.reject(new ShoalError('corrupt', 'other bytes')))).toEqual([
      'keep',
      'chunk corrupt',
      'wrong a 7',
      'give back',
    ]);
  });

  it('is blamed on nobody when the disk does not take it', async () => {
    const { intake, end } = start();
    intake.take('a', 7, [Buffer.from('x')]);
    expect(await end((write) => write.reject(new ShoalError('exhausted', 'full')))).toEqual([
      'keep',
      'failed exhausted',
      'give back',
    ]);
  });

  it('is not kept when the fetch is over', async () => {
    const { intake, end, over, written } = start();
    over.abort();
    intake.take('a', 7, [Buffer.from('x')]);
    expect(await end(() => undefined)).toEqual(['keep', 'give back']);
    expect(written).toEqual([]);
  });
});
