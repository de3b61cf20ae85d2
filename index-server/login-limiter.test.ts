import { LoginLimiter } from './login-limiter.js';

const LIMITS = { perUser: 3, perAddress: 5, windowSeconds: 60 };
const THROTTLED = { code: 'throttled', details: { retryAfterSeconds: expect.any(Number) } };

describe('the limit of failed log-ins', () => {
  test('stops guessing at one user, whatever the case of the name, and not others', async () => {
    const limiter = new LoginLimiter(LIMITS);
    for (const name of ['ann', 'Ann', 'ANN']) await limiter.begin(name, '10.0.0.1');
    await expect(limiter.begin('ann', '10.0.0.1')).rejects.toMatchObject(THROTTLED);
    await limiter.begin('ann', '10.0.0.2');
    await limiter.begin('bob', '10.0.0.1');
  });

  test('stops guessing at many users from one address', async () => {
    const limiter = new LoginLimiter(LIMITS);
    for (let user = 0; user < 5; user += 1) await limiter.begin(`user${user}`, '10.0.0.1');
    await expect(limiter.begin('user9', '10.0.0.1')).rejects.toMatchObject(THROTTLED);
  });

  test('does not count those that succeed', async () => {
    const limiter = new LoginLimiter(LIMITS);
    for (let login = 0; login < 20; login += 1) {
      await limiter.begin('ann', '10.0.0.1');
      await limiter.takeBack('ann', '10.0.0.1');
    }
  });

  test('counts attempts that are still under way', async () => {
    const limiter = new LoginLimiter(LIMITS);
    const attempts = Array.from({ length: 10 }, () => limiter.begin('ann', '10.0.0.1'));
    const results = await Promise.allSettled(attempts);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  });
});
