import { ShoalError } from '../common/errors.js';
import { Readiness } from './readiness.js';

const away = new ShoalError('unavailable', 'the index does not answer');
const refused = new ShoalError('denied', 'the join secret is wrong');

function readiness(
  membership: { hasJoined?: boolean; swarmToken?: string; lastError?: ShoalError } = {},
  phase: Readiness['phase'] = 'open',
): Readiness {
  const made = new Readiness({
    membership: { hasJoined: false, swarmToken: undefined, lastError: undefined, ...membership },
  });
  made.phase = phase;
  return made;
}

describe('a peer is ready', () => {
  test('once it has joined, and stays so when the index goes', () => {
    expect(readiness({ hasJoined: true }).isReady).toBe(true);
    expect(readiness({ hasJoined: true, lastError: away }).isReady).toBe(true);
  });

  test('when the index is away and it knows from an earlier life whom to believe', () => {
    expect(readiness({ swarmToken: 't', lastError: away }).isReady).toBe(true);
    expect(readiness({ swarmToken: 't', lastError: new ShoalError('timeout', 'slow') }).isReady).toBe(true);
  });
});

describe('a peer is not ready', () => {
  test('before its first attempt to join has ended', () => {
    expect(readiness({ swarmToken: 't' }).reason).toBe('joining');
  });

  test('when it has never known an index, or the index refuses it', () => {
    expect(readiness({ lastError: away }).reason).toBe('not joined yet: the index does not answer');
    expect(readiness({ swarmToken: 't', lastError: refused }).reason).toBe('not joined yet: the join secret is wrong');
  });

  test('while it recovers and while it leaves', () => {
    expect(readiness({ hasJoined: true }, 'recovering').reason).toBe('recovering the store');
    expect(readiness({ hasJoined: true }, 'leaving').reason).toBe('leaving');
  });
});
