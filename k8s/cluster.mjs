// A kind cluster and what is put into it.

import { join } from 'node:path';
import { root } from '../scripts/setup.mjs';
import { run, step } from './tools.mjs';

/**
 * Makes the cluster unless there is one of that name, and writes a kubeconfig for it. True when it was made now.
 *
 * @param {string} name
 * @param {{ kubeconfig?: string, signal?: AbortSignal }} options without `kubeconfig` the user's own gets a context and
 *   switches to it, as with `kind` by hand
 */
export async function ensureCluster(name, { kubeconfig, signal }) {
  const config = kubeconfig ? ['--kubeconfig', kubeconfig] : [];
  if ((await clusterNames()).includes(name)) {
    await run('kind', ['export', 'kubeconfig', '--name', name, ...config], { signal });
    return false;
  }
  // kind's default image is right nearly everywhere; a version matrix and machines without a registry name another.
  const image = process.env.KIND_IMAGE ? ['--image', process.env.KIND_IMAGE] : [];
  const file = join(root, 'k8s/kind.yaml');
  await step(`creating the kind cluster ${name}`, async () => {
    await run('kind', ['create', 'cluster', '--name', name, '--config', file, ...image, ...config], { signal });
    const env = kubeconfig ? { KUBECONFIG: kubeconfig } : {};
    await run('kubectl', ['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=180s'], { env, signal });
  });
  return true;
}

/** The kind clusters of this machine. */
export async function clusterNames() {
  return (await run('kind', ['get', 'clusters'])).split('\n').filter((name) => /^[a-z0-9.-]+$/.test(name));
}

/** @param {string} name @param {{ kubeconfig?: string }} options the file to take its context out of */
export async function deleteCluster(name, { kubeconfig }) {
  const config = kubeconfig ? ['--kubeconfig', kubeconfig] : [];
  await step(`deleting the kind cluster ${name}`, () => run('kind', ['delete', 'cluster', '--name', name, ...config]));
}

/**
 * Builds an image from this folder, tags it and resolves to its id, 64 hex digits.
 *
 * @param {string} tag
 * @param {{ dockerfile?: string, signal?: AbortSignal }} options
 */
export async function buildImage(tag, { dockerfile = 'Dockerfile', signal }) {
  const build = ['build', '--file', dockerfile, '--tag', tag, '.'];
  await step(`building the image ${tag}`, () => run('docker', build, { signal }));
  const id = await run('docker', ['image', 'inspect', '--format', '{{.Id}}', tag], { signal });
  return id.trim().replace('sha256:', '');
}

/**
 * Puts images of this machine into the cluster; resolves to those that are not on this machine, which the cluster pulls
 * when it needs them.
 *
 * @param {string} cluster
 * @param {string[]} images
 * @param {{ signal?: AbortSignal }} options
 */
export async function loadImages(cluster, images, { signal }) {
  const here = [];
  for (const image of images) if (await isHere(image)) here.push(image);
  if (here.length > 0) {
    await step(`loading ${here.join(', ')}`, () =>
      run('kind', ['load', 'docker-image', '--name', cluster, ...here], { signal }),
    );
  }
  return images.filter((image) => !here.includes(image));
}

async function isHere(image) {
  return (await run('docker', ['image', 'ls', '--quiet', image])).trim() !== '';
}
