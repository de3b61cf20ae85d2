import { request as httpRequest } from 'node:http';
import fc from 'fast-check';
import { problemSchema } from './api/statements.js';
import { LIMITS } from './api/values.js';
import { idOf, TestIndex, type TestPeer } from './testing/test-index.js';

/** A path, and a credential and method with which it is to be spoken to. */
interface Door {
  readonly method: string;
  readonly path: string;
  readonly as: 'nobody' | 'user' | 'peer';
}

const DOORS: readonly Door[] = [
  { method: 'POST', path: '/login', as: 'nobody' },
  { method: 'POST', path: '/logout', as: 'peer' },
  { method: 'POST', path: '/index', as: 'peer' },
  { method: 'POST', path: '/search', as: 'user' },
  { method: 'POST', path: '/api/v1/accounts', as: 'nobody' },
  { method: 'POST', path: '/api/v1/sessions', as: 'nobody' },
  { method: 'PUT', path: '/api/v1/account/password', as: 'user' },
  { method: 'POST', path: '/api/v1/peers', as: 'nobody' },
  { method: 'POST', path: '/api/v1/peers/p1/heartbeat', as: 'peer' },
  { method: 'POST', path: '/api/v1/peers/p1/holdings', as: 'peer' },
  { method: 'POST', path: '/api/v1/peers/p1/records', as: 'peer' },
  { method: 'POST', path: '/api/v1/reports', as: 'peer' },
  { method: 'POST', path: '/api/v1/files', as: 'peer' },
  { method: 'PATCH', path: '/api/v1/files/a', as: 'user' },
  { method: 'POST', path: '/api/v1/locate', as: 'user' },
];

/** Bodies near the good ones: the names of the members are right, the values are anything. */
const FIELDS = [
  ...['username', 'password', 'url', 'files', 'currentPassword', 'newPassword', 'name', 'address', 'version'],
  ...['incarnation', 'bytesUsed', 'bytesFree', 'state', 'renew', 'held', 'dropped', 'full', 'mark', 'records', 'id'],
  ...['peer', 'reason', 'size', 'sha256', 'chunkSize', 'chunks', 'tags', 'visibility', 'readers', 'replicas', 'ref'],
  ...['limit', 'addReaders', 'removeReaders', '__proto__', 'constructor', 'toString'],
];
const VALUES = [
  ...[
    '',
    '..',
    'a/../b',
    '\u0000',
    '\ud800',
    'ä'.repeat(600),
    'x'.repeat(5000),
    idOf('a'),
    'p1',
    'only',
    'live',
    'shoal',
  ],
  ...[
    -1,
    0,
    1.5,
    1e308,
    Number.MAX_SAFE_INTEGER + 2,
    null,
    true,
    [],
    {},
    [null],
    [[]],
    { $gt: '' },
    { __proto__: null },
  ],
];
const valueArbitrary = fc.oneof(fc.constantFrom(...VALUES), fc.jsonValue(), fc.string({ unit: 'binary' }));
const bodyArbitrary = fc.oneof(
  fc.dictionary(fc.constantFrom(...FIELDS), valueArbitrary, { maxKeys: 12 }),
  fc.jsonValue(),
);

describe('every door', () => {
  let index: TestIndex;
  let peer: TestPeer;
  let user: string;
  beforeAll(async () => {
    index = await TestIndex.start();
    peer = await index.peer('p1');
    user = (await index.client.register(undefined, { username: 'ann', password: 'correct horse' })).token;
  });
  afterAll(() => index.stop());

  function headersOf({ as }: Door): Record<string, string> {
    if (as === 'nobody') return {};
    return { authorization: `Bearer ${as === 'user' ? user : peer.joined.peerToken}` };
  }

  async function knock(door: Door, body: string, headers: Record<string, string> = {}): Promise<Response> {
    const all = { 'content-type': 'application/json', ...headersOf(door), ...headers };
    return index.request(door.path, { method: door.method, headers: all, body });
  }

  async function expectProblem(response: Response, statuses: readonly number[]): Promise<void> {
    expect(statuses).toContain(response.status);
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    const problem = problemSchema.parse(await response.json());
    expect(problem.status).toBe(response.status);
    expect(problem.detail).not.toBe('');
    expect(JSON.stringify(problem)).not.toMatch(/node_modules|\.[tj]s:\d|\bat .*:\d+:\d+/);
  }

  const names = DOORS.map((door) => [`${door.method} ${door.path}`, door] as const);

  test.each(names)('%s answers anything at all with success or a problem, never 500', async (_name, door) => {
    await fc.assert(
      fc.asyncProperty(bodyArbitrary, async (body) => {
        const response = await knock(door, JSON.stringify(body));
        if (response.status < 300) await response.arrayBuffer();
        else await expectProblem(response, [400, 401, 403, 404, 409, 429]);
      }),
      { numRuns: 25 },
    );
  });

  test.each(names)(
    '%s says what is wrong with a body that is not JSON, not there, or too large',
    async (_name, door) => {
      await expectProblem(await knock(door, '{"a":'), [400]);
      await expectProblem(await knock(door, ''), [400]);
      await expectProblem(await knock(door, 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }), [400]);
      await expectProblem(await knock(door, '{}', { 'content-type': 'application/json; charset=klingon' }), [400]);
      await expectProblem(await knock(door, '{}', { 'content-encoding': 'gzip' }), [400]);
      await expectProblem(await knock(door, '{}', { 'content-encoding': 'rot13' }), [400]);
      await expectProblem(await knock(door, `"${'x'.repeat(LIMITS.bodyBytes)}"`), [413]);
    },
  );

  test('names what is at fault', async () => {
    const response = await knock({ method: 'POST', path: '/api/v1/locate', as: 'user' }, '{"ref":"a","limit":0}');
    expect(await response.json()).toMatchObject({
      detail: 'limit must be at least 1',
      errors: [{ path: 'body.limit', message: expect.any(String) }],
    });
  });

  test.each([
    '/api/v1/files?limit=0',
    '/api/v1/files?limit=1001',
    '/api/v1/files?limit=ten',
    '/api/v1/files?tag=novalue',
    '/api/v1/files?prefix=%00',
    '/api/v1/files?owner=a%20b',
    '/api/v1/files?page=x',
    '/api/v1/files?page=a&page=b',
    '/api/v1/search',
    '/api/v1/search?text=',
    '/api/v1/search?text=%01',
    '/api/v1/search?text=%2F',
    `/api/v1/search?text=${'x'.repeat(257)}`,
    '/api/v1/files/%00',
    '/api/v1/files/%E0%A4%A',
    `/api/v1/files/${'x'.repeat(1100)}`,
  ])('refuses %s', async (path) => {
    await expectProblem(await index.request(path, { headers: { authorization: `Bearer ${user}` } }), [400]);
  });

  test('takes any query without failing', async () => {
    const query = fc.dictionary(
      fc.constantFrom('prefix', 'tag', 'owner', 'limit', 'page', 'text', '__proto__'),
      fc.string({ unit: 'binary' }),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('files', 'search'), query, async (what, values) => {
        const text = new URLSearchParams(Object.entries(values)).toString();
        const response = await index.request(`/api/v1/${what}?${text}`, {
          headers: { authorization: `Bearer ${user}` },
        });
        if (response.status !== 200) await expectProblem(response, [400]);
      }),
      { numRuns: 100 },
    );
  });

  test('takes any reference without failing, and finds nothing by it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1 }), async (ref) => {
        const path = `/api/v1/files/${encodeURIComponent(ref).replaceAll('.', '%2E')}`;
        const response = await index.request(path, { headers: { authorization: `Bearer ${user}` } });
        // '.' and '..' are resolved by the client before they are sent.
        if (response.status !== 200) await expectProblem(response, [400, 404]);
      }),
      { numRuns: 100 },
    );
  });

  test.each(['/nothing', '/api', '/api/v1', '/api/v2/files', '/api/v1/files/a/b', '/LOGIN/x'])(
    'is not at %s',
    async (path) => {
      await expectProblem(await index.request(path), [404]);
    },
  );

  test('takes paths that no browser would send', async () => {
    for (const path of ['//', '/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/%', '/api/v1/files/%ff']) {
      const status = await new Promise<number | undefined>((resolve, reject) => {
        const request = httpRequest(`${index.url}`, { path }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        request.on('error', reject).end();
      });
      expect([400, 404, 401]).toContain(status);
    }
  });

  test('keeps its secrets and says little of itself', async () => {
    const response = await index.request('/api/v1/account', { headers: { authorization: `Bearer ${user}` } });
    expect(response.headers.get('x-powered-by')).toBeNull();
    expect(response.headers.get('etag')).toBeNull();
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('content-security-policy')).toMatch(/default-src 'self'/);
    expect(response.headers.get('content-security-policy')).not.toMatch(/upgrade-insecure-requests/);
    expect(response.headers.get('strict-transport-security')).toBeNull();
    expect(response.headers.get('x-request-id')).toMatch(/^[\w-]{36}$/);
  });

  test('keeps the id that a request came with, if it is harmless', async () => {
    const given = async (id: string) =>
      (await index.request('/livez', { headers: { 'x-request-id': id } })).headers.get('x-request-id');
    expect(await given('abc-1')).toBe('abc-1');
    expect(await given('<script>')).not.toBe('<script>');
  });

  test('has a page for people', async () => {
    const response = await index.request('/');
    expect(response.headers.get('content-type')).toMatch(/^text\/html/);
    expect(await response.text()).toContain('href="/openapi.json"');
  });
});
