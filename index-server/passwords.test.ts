import { Passwords } from './passwords.js';

describe('passwords', () => {
  test('are hashed with argon2id, each with its own salt, and known again', async () => {
    const passwords = new Passwords({ concurrency: 2, queue: 10 });
    const [first, second] = await Promise.all([passwords.hash('correct horse'), passwords.hash('correct horse')]);
    expect(first).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(first).not.toBe(second);
    expect(await passwords.matches('correct horse', first)).toBe(true);
    expect(await passwords.matches('wrong horse', first)).toBe(false);
  });

  test('match nothing where there is no hash, and take as long', async () => {
    const passwords = new Passwords({ concurrency: 1, queue: 10 });
    const hash = await passwords.hash('correct horse');
    const time = async (stored: string | null) => {
      const start = process.hrtime.bigint();
      expect(await passwords.matches('some guess', stored)).toBe(false);
      return Number(process.hrtime.bigint() - start);
    };
    // The best of five of each: what remains is the hashing itself, not the noise of the machine.
    const best = async (stored: string | null) => {
      const times: number[] = [];
      for (let run = 0; run < 5; run += 1) times.push(await time(stored));
      return Math.min(...times);
    };
    expect((await best(null)) / (await best(hash))).toBeGreaterThan(0.5);
  });

  test('wait for their turn, and are refused when too many wait', async () => {
    const passwords = new Passwords({ concurrency: 1, queue: 2 });
    const running = [passwords.hash('one'), passwords.hash('two'), passwords.hash('three')];
    expect(passwords.waiting).toBe(2);
    await expect(passwords.hash('four')).rejects.toMatchObject({
      code: 'throttled',
      details: { retryAfterSeconds: 1 },
    });
    expect(new Set(await Promise.all(running)).size).toBe(3);
    expect(passwords.waiting).toBe(0);
    await expect(passwords.hash('five')).resolves.toMatch(/^\$argon2id/);
  });

  test('give their turn on when a hash in the store is damaged', async () => {
    const passwords = new Passwords({ concurrency: 1, queue: 2 });
    await expect(passwords.matches('guess', 'not a hash')).rejects.toThrow();
    await expect(passwords.hash('next')).resolves.toMatch(/^\$argon2id/);
  });
});
