import { EventEmitter } from 'node:events';
import { status } from '@grpc/grpc-js';
import { ShoalError } from '../../common/errors.js';
import { createLogger } from '../../common/log.js';
import { CallOutcomes } from './call-outcomes.js';

/** Outcomes that note what they count, and how many lines they log. */
function start() {
  const counted: string[] = [];
  const lines: string[] = [];
  const log = createLogger({ name: 'test', level: 'error' }, { write: (line) => void lines.push(line) });
  const outcomes = new CallOutcomes({ observer: { call: (method, code) => counted.push(`${method} ${code}`) }, log });
  return { outcomes, counted, lines };
}

class Call extends EventEmitter {
  isEnded = false;

  end(): void {
    this.isEnded = true;
  }
}

describe('a call with one answer', () => {
  it('gets it', async () => {
    const { outcomes, counted } = start();
    const answers: unknown[] = [];
    await outcomes.answer('Upload', { call: new Call(), callback: (...answer) => answers.push(answer) }, () =>
      Promise.resolve({ size: 1 }),
    );
    expect([answers, counted]).toEqual([[[null, { size: 1 }]], ['Upload ok']]);
  });

  it('gets a status that says what failed', async () => {
    const { outcomes, counted, lines } = start();
    const answers: unknown[] = [];
    await outcomes.answer('Replicate', { call: new Call(), callback: (error) => answers.push(error) }, () =>
      Promise.reject(new ShoalError('exhausted', 'full')),
    );
    expect(answers).toMatchObject([{ code: status.RESOURCE_EXHAUSTED, details: 'full' }]);
    expect([counted, lines]).toEqual([['Replicate exhausted'], []]);
  });
});

describe('a call with a stream of answers', () => {
  it('ends when all is sent', async () => {
    const { outcomes, counted } = start();
    const call = new Call();
    await outcomes.stream('Download', call, () => Promise.resolve(expect(call.isEnded).toBe(false)));
    expect([call.isEnded, counted]).toEqual([true, ['Download ok']]);
  });

  it('ends with a status that says what failed', async () => {
    const { outcomes, counted } = start();
    const call = new Call();
    const errors: unknown[] = [];
    call.on('error', (error) => errors.push(error));
    await outcomes.stream('Download', call, () => Promise.reject(new ShoalError('not_found', 'gone')));
    expect(errors).toMatchObject([{ code: status.NOT_FOUND, details: 'gone' }]);
    expect([call.isEnded, counted]).toEqual([false, ['Download not_found']]);
  });

  it('tells its handler when the caller gives up', async () => {
    const { outcomes, counted } = start();
    const call = new Call();
    call.on('error', () => undefined);
    await outcomes.stream('DownloadMany', call, async (signal) => {
      call.emit('cancelled');
      signal.throwIfAborted();
      await Promise.resolve();
    });
    expect(counted).toEqual(['DownloadMany cancelled']);
  });
});

describe('the log', () => {
  it('has what is our own fault, and nothing else', () => {
    const { outcomes, counted, lines } = start();
    outcomes.note('Exchange', new ShoalError('denied', 'no'));
    outcomes.note('Exchange', undefined);
    expect(lines).toEqual([]);
    outcomes.note('Exchange', new Error('a bug'));
    expect(lines.map((line) => (JSON.parse(line) as { method: string }).method)).toEqual(['Exchange']);
    expect(counted).toEqual(['Exchange denied', 'Exchange ok', 'Exchange internal']);
  });
});
