import { createPrivateKey } from 'node:crypto';
import { Signer } from '../../index-server/signer.js';
import { newSigningKey, RecordSigner } from './record-signer.js';

test('signs as the index with the same key does', async () => {
  const pem = newSigningKey();
  const { file, record } = new RecordSigner(createPrivateKey(pem)).record(4711);
  const signer = await Signer.fromPem(pem);
  expect(await signer.verifyRecord(record)).toEqual(file);
  expect(await signer.record(file)).toBe(record);
});
