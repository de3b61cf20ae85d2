import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { chart, helm, render } from './testing/render.js';

describe('values that cannot work are refused with a line that says which', () => {
  test.each([
    ['peer.replicas=three', /peer.replicas.*(got string, want integer|Expected: integer)/is],
    ['peer.replica=3', /replica/],
    ['index.replicas=-1', /index.replicas.*minimum/is],
    ['image.pullPolicy=Sometimes', /pullPolicy.*IfNotPresent/is],
    ['peer.persistence.size=10 GB', /persistence.size/],
    ['peer.quota=lots', /peer.quota/],
    ['mongodb.external.uri=postgres://db', /external.uri/],
    ['logLevel=loud', /logLevel.*trace/is],
    ['peer.persistence.whenDeleted=Keep', /whenDeleted.*Retain/is],
    ['image.digest=sha256:abc', /image.digest/],
    ['mongodb.enabled=false,index.replicas=2', /index\.replicas is 2, but without MongoDB there is room for one/],
    ['tls.existingSecret=mine', /without tls\.enabled=true nobody would use it/],
    ['mongodb.external.uri=mongodb://db', /set mongodb\.enabled=false/],
    ['mongodb.enabled=false,mongodb.external.uri=mongodb://db,mongodb.external.existingSecret=x', /are both set/],
  ])('%s', async (values, message) => {
    const failure = await render({ arguments: ['--set', values] }).catch((error: Error) => error.message);
    expect(failure).toMatch(message);
  });
});

describe('values of ci/', () => {
  test('are linted without a word, as are those of nobody', async () => {
    for (const file of [undefined, ...(await readdir(join(chart, 'ci')))]) {
      const more = file === undefined ? [] : ['--values', join(chart, 'ci', file)];
      expect(await helm(['lint', '--strict', '--quiet', chart, ...more])).toBe('');
    }
  });

  test('are not packed into the chart', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'shoal-chart-'));
    try {
      await helm(['package', chart, '--destination', folder]);
      const [name = ''] = await readdir(folder);
      const files = await helm(['show', 'all', join(folder, name)]);
      expect(files).toContain('name: shoal');
      await expect(render({ arguments: ['--show-only', 'ci/small-values.yaml'] })).rejects.toThrow('could not find');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

test('what is said after installing has commands for this release', async () => {
  // The notes are a template as any other, and helm shows them only when it installs.
  const folder = await mkdtemp(join(tmpdir(), 'shoal-chart-'));
  try {
    await cp(chart, folder, { recursive: true });
    await writeFile(join(folder, 'templates/said.yaml'), 'said: {{ include "shoal/templates/NOTES.txt" . | quote }}');
    const values = JSON.stringify({ peer: { replicas: 2 } });
    const args = [
      'template',
      'files',
      folder,
      '--namespace',
      'apps',
      '--show-only',
      'templates/said.yaml',
      '--values',
      '-',
    ];
    const { said } = parse(await helm(args, values)) as { said: string };
    expect(said).toContain('kubectl exec -n apps files-shoal-peer-1 -- shoal cat hello.txt');
    expect(said).toContain('label files-shoal-client=true');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
