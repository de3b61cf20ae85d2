import { get, type Objects, render } from './testing/render.js';

describe('secrets are kept at uninstall', () => {
  const kept = (objects: Objects) =>
    [...objects]
      .filter(([, { metadata }]) => metadata.annotations?.['helm.sh/resource-policy'] === 'keep')
      .map(([key]) => key);
  const withoutVolumes = { persistence: { enabled: false } };

  test('while volumes are that need them', async () => {
    expect(kept(await render())).toEqual(['Secret/shoal-signing-key', 'Secret/shoal-mongodb']);
    expect(kept(await render({ values: { peer: withoutVolumes } }))).toEqual([
      'Secret/shoal-signing-key',
      'Secret/shoal-mongodb',
    ]);
    expect(kept(await render({ values: { mongodb: { enabled: false } } }))).toEqual([
      'Secret/shoal-signing-key',
      'PersistentVolumeClaim/shoal-index',
    ]);
  });

  test('and go when nothing is left', async () => {
    expect(kept(await render({ values: { peer: withoutVolumes, mongodb: withoutVolumes } }))).toEqual([]);
  });
});

test('the embedded store has one index server at a time, and no MongoDB', async () => {
  const objects = await render({ values: { mongodb: { enabled: false } } });
  expect([...objects.keys()].filter((key) => key.endsWith('-mongodb'))).toEqual([]);
  const { spec } = get(objects, 'Deployment/shoal-index');
  expect(spec.strategy).toEqual({ type: 'Recreate' });
  expect(spec.template.spec.volumes.at(-1)).toEqual({
    name: 'data',
    persistentVolumeClaim: { claimName: 'shoal-index' },
  });
  expect(spec.template.spec.containers[0].volumeMounts.at(-1)).toEqual({ name: 'data', mountPath: '/data' });
});

test('an index starts again when the address of its database changes', async () => {
  const checksum = async (uri: string) => {
    const objects = await render({ values: { mongodb: { enabled: false, external: { uri } } } });
    return get(objects, 'Deployment/shoal-index').spec.template.metadata.annotations['checksum/config'];
  };
  expect(await checksum('mongodb://a')).toMatch(/^[0-9a-f]{64}$/);
  expect(await checksum('mongodb://a')).not.toBe(await checksum('mongodb://b'));
});
