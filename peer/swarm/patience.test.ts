import { ShoalError } from '../../common/errors.js';
import { Patience, type Shortage } from './patience.js';

const OPTIONS = { fileId: 'f', noSourceMs: 10_000, awayMs: 60_000 };
const NOTHING: Shortage = { isIndexAway: false, away: [], isDamaged: false, isNobodyElse: true, trouble: undefined };

/** When it gives up, asked ten times a second from 0 ms on; undefined when it does not within two minutes. */
function endsAt(patience: Patience, shortageAt: (nowMs: number) => Shortage): number | undefined {
  for (let nowMs = 0; nowMs <= 120_000; nowMs += 100) {
    if (patience.judge(shortageAt(nowMs), nowMs).failure !== undefined) return nowMs;
  }
  return undefined;
}

describe('the patience of a fetch', () => {
  it('is over when nobody has had anything for the time that is set', () => {
    expect(endsAt(new Patience(OPTIONS, 0), () => NOTHING)).toBe(10_000);
    const patience = new Patience(OPTIONS, 0);
    patience.renew(5_000);
    expect(endsAt(patience, () => NOTHING)).toBe(15_000);
  });

  it.each([
    ['a peer may come back', { away: ['a'] }],
    ['the index cannot say who is there', { isIndexAway: true }],
  ])('lasts longer while %s, and for a time after', (_when, shortage) => {
    const patience = new Patience(OPTIONS, 0);
    expect(endsAt(patience, (nowMs) => (nowMs < 1_000 ? { ...NOTHING, ...shortage } : NOTHING))).toBe(60_000);
    patience.renew(0);
    expect(endsAt(patience, () => NOTHING)).toBe(10_000);
  });

  it('is never shorter where somebody may come back', () => {
    const patience = new Patience({ ...OPTIONS, awayMs: 0 }, 0);
    expect(endsAt(patience, () => ({ ...NOTHING, away: ['a'] }))).toBe(10_000);
  });

  it('is short when every copy in reach is damaged', () => {
    const damaged = { ...NOTHING, isDamaged: true, away: ['a'] };
    expect(endsAt(new Patience(OPTIONS, 0), () => damaged)).toBe(2_000);
    const patience = new Patience(OPTIONS, 0);
    expect(endsAt(patience, () => ({ ...damaged, isNobodyElse: false }))).toBe(60_000);
    expect(patience.judge(damaged, 60_000).failure).toMatchObject({
      code: 'corrupt',
      message: 'every copy of f that can be reached is damaged',
    });
  });

  it('says after a second why nothing moves, and for how long it will be waited', () => {
    const patience = new Patience(OPTIONS, 0);
    const trouble = new ShoalError('unavailable', 'b speaks no TLS', { hint: 'give b a certificate' });
    const shortage = { ...NOTHING, isIndexAway: true, away: ['a', 'c'], trouble };
    expect(patience.judge(shortage, 999).waiting).toBeUndefined();
    expect(patience.judge(shortage, 1_000).waiting).toBe(
      'no live peer has the missing parts; away, and with all of it: a, c; b speaks no TLS, and the index does not answer; giving up in 59 s',
    );
  });

  it('names in the end who was away, and passes on what can be done', () => {
    const trouble = new ShoalError('unavailable', 'b speaks no TLS', { hint: 'give b a certificate' });
    const { failure } = new Patience(OPTIONS, 0).judge({ ...NOTHING, away: ['a'], trouble }, 60_000);
    expect(failure).toMatchObject({
      code: 'unavailable',
      message: 'no live peer has the missing parts of f; away, and with all of it: a; b speaks no TLS',
      hint: 'give b a certificate',
      cause: trouble,
    });
    expect(new Patience(OPTIONS, 0).judge(NOTHING, 10_000).failure?.hint).toContain('shoal stat REF');
  });
});
