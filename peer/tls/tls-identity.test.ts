import { copyFile, rm, writeFile } from 'node:fs/promises';
import { Authority } from '../../scripts/certificates.mjs';
import { newTls, type TestTls } from '../testing/tls.js';
import { waitFor } from '../testing/wait-for.js';
import { readTlsFiles } from './tls-files.js';

const authority = new Authority();
const open: TestTls[] = [];
afterEach(async () => {
  for (const tls of open.splice(0)) await tls.remove();
});

async function start(options?: { readonly reloadMs: number }): Promise<TestTls> {
  const tls = await newTls({ authority }, options);
  open.push(tls);
  return tls;
}

function filesOf({ env }: TestTls) {
  return {
    certFile: env.SHOAL_TLS_CERT_FILE,
    keyFile: env.SHOAL_TLS_KEY_FILE,
    caFile: env.SHOAL_TLS_CA_FILE,
  };
}

describe('files that are not what they should be are refused by name', () => {
  test.each([
    ['certFile', 'SHOAL_TLS_CERT_FILE'],
    ['keyFile', 'SHOAL_TLS_KEY_FILE'],
    ['caFile', 'SHOAL_TLS_CA_FILE'],
  ] as const)('%s', async (which, setting) => {
    const files = filesOf(await start());
    for (const spoil of [() => writeFile(files[which], 'what is this?'), () => rm(files[which])]) {
      await spoil();
      await expect(readTlsFiles(files)).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringContaining(files[which]),
        hint: expect.stringContaining(setting),
      });
    }
  });

  test('a key of another certificate', async () => {
    const [ours, others] = [filesOf(await start()), filesOf(await start())];
    await copyFile(others.keyFile, ours.keyFile);
    await expect(readTlsFiles(ours)).rejects.toMatchObject({
      code: 'invalid',
      message: `the key in ${ours.keyFile} is not that of the certificate in ${ours.certFile}`,
    });
  });
});

describe('an identity', () => {
  test('takes up what is new by itself, and tells of it', async () => {
    const tls = await start({ reloadMs: 10 });
    const before = tls.identity.certificate.serialNumber;
    let renewals = 0;
    tls.identity.onRenewed(() => {
      renewals += 1;
    });
    await tls.replace({ authority, days: 3 });
    await waitFor('the new certificate', () => tls.identity.certificate.serialNumber !== before);
    expect(tls.identity.expiresAtMs - Date.now()).toBeGreaterThan(2 * 24 * 3600 * 1000);
    await waitFor('all files are in use', () => tls.identity.lastFailure === undefined);
    expect(renewals).toBeGreaterThan(0);
  });

  test('does nothing where nothing has changed', async () => {
    const { identity } = await start();
    const { context } = identity;
    identity.onRenewed(() => {
      throw new Error('nothing was renewed');
    });
    await identity.reload();
    expect(identity.context).toBe(context);
  });

  test('keeps what it has while the files do not fit together, and says why until they do', async () => {
    const [tls, others] = [await start(), await start()];
    const { identity } = tls;
    const { context } = identity;
    await copyFile(others.env.SHOAL_TLS_CERT_FILE, tls.env.SHOAL_TLS_CERT_FILE);
    await identity.reload();
    expect(identity.context).toBe(context);
    expect(identity.lastFailure?.message).toContain('is not that of the certificate');
    await copyFile(others.env.SHOAL_TLS_KEY_FILE, tls.env.SHOAL_TLS_KEY_FILE);
    await identity.reload();
    expect(identity.context).not.toBe(context);
    expect(identity.certificate.serialNumber).toBe(others.identity.certificate.serialNumber);
    expect(identity.lastFailure).toBeUndefined();
  });
});
