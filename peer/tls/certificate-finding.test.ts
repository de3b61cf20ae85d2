import { ShoalError } from '../../common/errors.js';
import { Authority } from '../../scripts/certificates.mjs';
import { newTls, type TestTls } from '../testing/tls.js';
import { certificateFinding } from './certificate-finding.js';

const DAY_MS = 24 * 3600 * 1000;

let tls: TestTls;
beforeAll(async () => {
  tls = await newTls({ authority: new Authority(), days: 30, hosts: ['*.peers.svc', '10.0.0.7'] });
});
afterAll(() => tls.remove());

function find(address: string, { days = 0, lastFailure }: { days?: number; lastFailure?: ShoalError } = {}) {
  const { certificate, expiresAtMs } = tls.identity;
  const nowMs = Date.now() + days * DAY_MS;
  return certificateFinding({ certificate, expiresAtMs, lastFailure }, { address, nowMs });
}

test.each(['peer-0.peers.svc:4999', '10.0.0.7:1'])('a certificate that is for %s is fine', (address) => {
  const until = new Date(tls.identity.expiresAtMs).toISOString();
  expect(find(address)).toEqual({ result: 'ok', detail: `mutual TLS; the certificate is valid until ${until}` });
});

test.each(['peer-0.others.svc:4999', 'a.b.peers.svc:4999', '10.0.0.8:1', '[::1]:4999'])(
  'one that is not for %s is a failure that names both',
  (address) => {
    const { result, detail, hint } = find(address);
    expect(result).toBe('failed');
    expect(detail).toContain(address.replace(/:\d+$/, '').replace(/[[\]]/g, ''));
    expect(detail).toContain('DNS:*.peers.svc, IP Address:10.0.0.7');
    expect(hint).toContain('SHOAL_ADVERTISE_ADDRESS');
  },
);

test.each([
  ['long before', 22, 'ok'],
  ['in its last week', 24, 'warning'],
  ['when it has expired', 31, 'failed'],
])('%s, a certificate is what it is', (_when, days, result) => {
  expect(find('10.0.0.7:1', { days }).result).toBe(result);
});

test('files that could not be taken up are a warning, and do not hide that the old certificate has expired', () => {
  const lastFailure = new ShoalError('invalid', 'a key of another', { hint: 'mend it' });
  const early = find('10.0.0.7:1', { lastFailure });
  expect(early).toMatchObject({
    result: 'warning',
    detail: expect.stringContaining('a key of another'),
    hint: 'mend it',
  });
  const late = find('10.0.0.7:1', { lastFailure, days: 31 });
  expect(late).toMatchObject({ result: 'failed', detail: expect.stringContaining('a key of another') });
});
