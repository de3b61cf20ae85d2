import fc from 'fast-check';
import { endpointSliceSchema, type PodState, podStates } from './endpoint-slices.js';

const slice = (...endpoints: object[]) => endpointSliceSchema.parse({ metadata: { name: 's' }, endpoints });
const pod = (name: string, conditions?: object) => ({ conditions, targetRef: { kind: 'Pod', name } });
const stateOf = (conditions?: object) => podStates([slice(pod('a', conditions))]).get('a');

describe('the state of a pod', () => {
  test('follows serving and terminating, whatever ready says', () => {
    expect(stateOf({ ready: true, serving: true, terminating: false })).toBe('serving');
    expect(stateOf({ ready: true, serving: false, terminating: false })).toBe('not_serving');
    expect(stateOf({ ready: true, serving: true, terminating: true })).toBe('terminating');
    expect(stateOf({ ready: true, serving: false, terminating: true })).toBe('terminating');
  });

  test('takes what is not told as the API says', () => {
    expect(stateOf(undefined)).toBe('serving');
    expect(stateOf({})).toBe('serving');
    expect(stateOf({ ready: null, serving: null, terminating: null })).toBe('serving');
    expect(stateOf({ ready: false })).toBe('not_serving');
  });

  test('is found by the name of the pod, or by its host name where no pod is named', () => {
    const endpoints = [
      { hostname: 'host', targetRef: { kind: 'Pod', name: 'pod' } },
      { hostname: 'only-host' },
      { hostname: 'not-a-pod', targetRef: { kind: 'Node', name: 'node-1' } },
      { addresses: ['10.0.0.1'] },
    ];
    expect([...podStates([slice(...endpoints)]).keys()]).toEqual(['pod', 'only-host', 'not-a-pod']);
  });

  test('is what speaks for the pod where slices disagree, in any order', () => {
    const states = fc.constantFrom<PodState>('serving', 'not_serving', 'terminating');
    const told = fc.array(fc.record({ name: fc.constantFrom('a', 'b', 'c'), state: states, slice: fc.nat(3) }));
    const conditionsOf = (state: PodState) => ({
      ready: true,
      serving: state === 'serving',
      terminating: state === 'terminating',
    });
    fc.assert(
      fc.property(told, (entries) => {
        const slices = [0, 1, 2, 3].map((number) =>
          slice(
            ...entries
              .filter((entry) => entry.slice === number)
              .map(({ name, state }) => pod(name, conditionsOf(state))),
          ),
        );
        const found = podStates(slices);
        for (const name of ['a', 'b', 'c']) {
          const all = entries.filter((entry) => entry.name === name).map(({ state }) => state);
          const best = (['serving', 'not_serving', 'terminating'] as const).find((state) => all.includes(state));
          expect(found.get(name)).toBe(best);
        }
      }),
    );
  });
});
