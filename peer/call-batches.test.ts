import { Deferred } from '../common/deferred.js';
import { ShoalError } from '../common/errors.js';
import type { Located } from '../index-server/api/files.js';
import { CallBatches } from './call-batches.js';

type Answers = readonly (Located | ShoalError)[];

/** A call to the index that waits for its answer. */
interface Call {
  readonly refs: readonly string[];
  readonly onBehalf: string | undefined;
  readonly answer: Deferred<Answers>;
}

function setUp({ callsAtOnce = 1, refsAtOnce = 10 } = {}) {
  const calls: Call[] = [];
  const ask = (refs: readonly string[], onBehalf: string | undefined): Promise<Answers> => {
    const answer = new Deferred<Answers>();
    calls.push({ refs, onBehalf, answer });
    return answer.promise;
  };
  const keyOf = (ref: string) => ref;
  const batches = new CallBatches<string, Located>({ ask }, { callsAtOnce, questionsAtOnce: refsAtOnce, keyOf });
  return { batches, calls };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** What a call says of each reference: which one it was, and in which call. */
const found = (ref: string, call: number) => ({ record: `${ref} of call ${call}` }) as Located;

async function answer(calls: readonly Call[], number: number): Promise<void> {
  const call = calls[number];
  call?.answer.resolve(call.refs.map((ref) => found(ref, number)));
  // The answer has to reach those who wait before the next call begins.
  await turn();
}

describe('questions to the index', () => {
  test('of one turn go together, at once', async () => {
    const { batches, calls } = setUp();
    const questions = ['a', 'b', 'a'].map((ref) => batches.get(ref, undefined));
    await turn();
    expect(calls.map(({ refs }) => refs)).toEqual([['a', 'b']]);
    await answer(calls, 0);
    expect(await Promise.all(questions)).toEqual([found('a', 0), found('b', 0), found('a', 0)]);
    await turn();
    expect(calls).toHaveLength(1);
  });

  test('that come while a call is under way go together in the next, not with what was asked before', async () => {
    const { batches, calls } = setUp();
    const first = batches.get('a', undefined);
    await turn();
    const later = batches.get('a', undefined);
    await turn();
    const other = batches.get('b', undefined);
    await turn();
    expect(calls).toHaveLength(1);
    await answer(calls, 0);
    expect(calls.map(({ refs }) => refs)).toEqual([['a'], ['a', 'b']]);
    await answer(calls, 1);
    expect(await Promise.all([first, later, other])).toEqual([found('a', 0), found('a', 1), found('b', 1)]);
  });

  test('need not wait while another call may be made', async () => {
    const { batches, calls } = setUp({ callsAtOnce: 2 });
    const questions: Promise<Located>[] = [];
    for (const ref of ['a', 'b', 'c', 'd']) {
      questions.push(batches.get(ref, undefined));
      await turn();
    }
    expect(calls.map(({ refs }) => refs)).toEqual([['a'], ['b']]);
    await answer(calls, 1);
    expect(calls.map(({ refs }) => refs)).toEqual([['a'], ['b'], ['c', 'd']]);
    await answer(calls, 2);
    await answer(calls, 0);
    expect(await Promise.all(questions)).toEqual([found('a', 0), found('b', 1), found('c', 2), found('d', 2)]);
  });

  test('are not more in one call than it may carry', async () => {
    const { batches, calls } = setUp({ refsAtOnce: 2 });
    const questions = ['a', 'b', 'c', 'd', 'e'].map((ref) => batches.get(ref, undefined));
    await turn();
    for (const number of [0, 1, 2]) await answer(calls, number);
    expect(calls.map(({ refs }) => refs)).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
    expect((await Promise.all(questions)).at(-1)).toEqual(found('e', 2));
  });

  test('of one user never go with those of another', async () => {
    const { batches, calls } = setUp();
    for (const onBehalf of ['ann', undefined, 'bob', 'ann']) void batches.get('a', onBehalf);
    await turn();
    expect(calls.map(({ refs, onBehalf }) => [onBehalf, refs])).toEqual([
      ['ann', ['a']],
      [undefined, ['a']],
      ['bob', ['a']],
    ]);
  });

  test('fail alone for what is not there, and together when the index is away; the next are asked all the same', async () => {
    const { batches, calls } = setUp();
    const missing = new ShoalError('not_found', 'no such file');
    const away = new ShoalError('unavailable', 'the index does not answer');
    const [a, b] = [batches.get('a', undefined), batches.get('b', undefined)];
    await turn();
    const [c, d] = [batches.get('c', undefined), batches.get('d', undefined)];
    calls[0]?.answer.resolve([missing, found('b', 0)]);
    await expect(a).rejects.toBe(missing);
    expect(await b).toEqual(found('b', 0));
    await turn();
    const e = batches.get('e', undefined);
    calls[1]?.answer.reject(away);
    await expect(c).rejects.toBe(away);
    await expect(d).rejects.toBe(away);
    await turn();
    await answer(calls, 2);
    expect(await e).toEqual(found('e', 2));
  });

  test('that the index leaves out are not left waiting', async () => {
    const { batches, calls } = setUp();
    const question = batches.get('a', undefined);
    await turn();
    calls[0]?.answer.resolve([]);
    await expect(question).rejects.toMatchObject({ code: 'internal' });
  });
});
