import { TestIndex } from './testing/test-index.js';

describe('an index server', () => {
  let index: TestIndex;
  beforeAll(async () => {
    index = await TestIndex.start();
  });
  afterAll(() => index.stop());

  test('lets a peer join, publish, and others locate', async () => {
    const one = await index.peer('p1');
    const two = await index.peer('p2');
    const published = await one.publish('models/a b.bin', { tags: { a: 'b' } });
    expect(published.file).toMatchObject({ name: 'models/a b.bin', owner: 'shoal', version: 1, tags: { a: 'b' } });
    const located = await index.client.locate(two.auth, { ref: 'models/a b.bin' });
    expect(located.file.holders).toEqual([{ peer: 'p1', address: 'p1.test:4999', complete: true }]);
    expect(await index.client.stat(two.auth, published.file.id)).toMatchObject({ name: 'models/a b.bin' });
  });
});
