import { Crowds } from './crowds.js';

const PART = { id: 'f', chunkCount: 4, isComplete: false };
const WHOLE = { ...PART, id: 'whole', isComplete: true };

describe('the crowd of a file', () => {
  it('shares what was sent, as long as somebody is in it', () => {
    const crowds = new Crowds();
    const [one, two] = [crowds.join(PART, 'a'), crowds.join(PART, 'b')];
    one.sent.add(0);
    expect(two.sent.firstUnsent(() => true)).toBe(1);
    one.leave();
    expect(crowds.join(PART, 'c').sent).toBe(two.sent);
  });

  it('begins anew when all have left, and is not that of another file', () => {
    const crowds = new Crowds();
    const place = crowds.join(PART, 'a');
    place.sent.add(0);
    expect(crowds.join(WHOLE, 'a').sent.firstUnsent(() => true)).toBe(0);
    place.leave();
    expect(crowds.join(PART, 'a').sent.firstUnsent(() => true)).toBe(0);
  });

  it('names the 24 that came last, each once, and not the one who asks', () => {
    const crowds = new Crowds();
    const places = Array.from({ length: 30 }, (_, i) => crowds.join(PART, `p${i}`));
    crowds.join(PART, 'p29');
    const names = Array.from({ length: 24 }, (_, i) => `p${i + 6}`);
    expect(places[0]?.others()).toEqual(names);
    places[20]?.leave();
    expect(places[29]?.others()).toEqual(
      ['p4', 'p5', ...names.slice(0, -1)].filter((name) => name !== 'p20').slice(-24),
    );
  });

  it('is bounded while the file comes, and not when it is whole', () => {
    const crowds = new Crowds();
    const places = Array.from({ length: 48 }, (_, i) => crowds.join(PART, `p${i}`));
    expect(() => crowds.join(PART, 'late')).toThrow(expect.objectContaining({ code: 'exhausted' }));
    crowds.join({ ...PART, isComplete: true }, 'late').leave();
    places[0]?.leave();
    crowds.join(PART, 'late');
  });
});
