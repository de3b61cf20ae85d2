import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];

beforeAll(ensureShared);

story(
  'register, index, search and log out work through kubectl port-forward, without a token',
  NAMESPACES,
  async () => {
    const username = `eve-${Date.now()}`;
    const password = 'correct horse';
    const file = `${username}.txt`;
    await shared.script('shoal-peer-0', `echo "notes of ${username}" > "$SHOAL_SHARE_DIR/${file}"`);
    const [first, second] = await Promise.all([
      shared.portForward('pod/shoal-peer-0', 5001),
      shared.portForward('pod/shoal-peer-1', 5001),
    ]);
    const url = `shoal-peer-0.shoal-peer.${shared.namespace}.svc.cluster.local:4999`;

    expect(await post(first.url, '/clogin', { username, password })).toMatchObject({ status: 400 });
    const login = await post(first.url, '/clogin', { username, password, url });
    expect(login).toMatchObject({ status: 200, body: { result: true } });
    const wrong = await post(second.url, '/clogin', { username, password: 'wrong horse', url });
    expect(wrong).toMatchObject({ status: 401, body: { result: false } });

    const indexed = await post(first.url, '/cindex', { username, files: [file, 'missing.txt'] });
    expect(indexed).toMatchObject({ status: 200, body: { files: [file] } });
    expect(indexed.body.operation).toEqual([expect.stringContaining(file), expect.stringContaining('missing.txt')]);

    const found = await post(second.url, '/csearch', { files: [file] });
    expect(found).toMatchObject({ status: 200, body: { files: [{ filename: file, peer: username }] } });
    expect(await shared.script('shoal-peer-1', `cat "$SHOAL_SHARE_DIR/${file}"`)).toBe(`notes of ${username}\n`);

    expect(await post(first.url, '/clogout', { username })).toMatchObject({ status: 200, body: { result: true } });
    expect(await post(first.url, '/clogout', { username: 'nobody' })).toMatchObject({ status: 404 });
    expect(await post(second.url, '/csearch', { files: [file] })).toMatchObject({ status: 200, body: { files: [] } });
    await Promise.all([first.stop(), second.stop()]);
  },
);

noContainerRestarted(NAMESPACES);

interface Answer {
  readonly status: number;
  readonly body: {
    readonly result?: boolean;
    readonly files?: readonly unknown[];
    readonly operation?: readonly string[];
  };
}

async function post(url: string, route: string, body: object): Promise<Answer> {
  const response = await fetch(url + route, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}
