import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { PACKAGE_ROOT } from '../../common/version.js';

/** A Kubernetes object, or a part of one: anything may be asked for, and what is not there is undefined. */
// biome-ignore lint/suspicious/noExplicitAny: Kubernetes' types are a world of their own, and tests look at what YAML says
export type Yaml = any;

/** What a chart makes, by `Kind/name`. */
export type Objects = ReadonlyMap<string, Yaml>;

export const chart = join(PACKAGE_ROOT, 'charts/shoal');

/** How to render. */
export interface RenderOptions {
  readonly release?: string;
  /** As in values.yaml. */
  readonly values?: object;
  /** A file of values in ci/. */
  readonly file?: string;
  /** Arguments of helm besides. */
  readonly arguments?: readonly string[];
}

/** Renders the chart as `helm install` would, into the namespace `apps`. Rejects with what helm says. */
export async function render(options: RenderOptions = {}): Promise<Objects> {
  const { release = 'shoal', values = {}, file, arguments: more = [] } = options;
  const files = file === undefined ? [] : ['--values', join(chart, 'ci', file)];
  const text = await helm(
    ['template', release, chart, '--namespace', 'apps', ...files, '--values', '-', ...more],
    JSON.stringify(values),
  );
  const objects = new Map<string, Yaml>();
  for (const document of parseAllDocuments(text)) {
    if (document.errors[0] !== undefined) throw document.errors[0];
    const object: Yaml = document.toJS();
    if (object === null) continue;
    const key = `${object.kind}/${object.metadata.name}`;
    if (objects.has(key)) throw new Error(`${key} is made twice`);
    objects.set(key, object);
  }
  return objects;
}

/** Runs helm; `HELM` in the environment names another one. Rejects with what it prints on stderr. */
export function helm(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.env['HELM'] ?? 'helm',
      [...args],
      { maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(stderr || error.message));
      },
    );
    child.stdin?.end(input);
  });
}

/** An object that must be there. */
export function get(objects: Objects, key: string): Yaml {
  const object = objects.get(key);
  if (object === undefined) throw new Error(`there is no ${key}, only ${[...objects.keys()].join(', ')}`);
  return object;
}

/** The templates of all pods, and the test's pod, by name of the object they are in. */
export function pods(objects: Objects): ReadonlyMap<string, Yaml> {
  const found = new Map<string, Yaml>();
  for (const object of objects.values()) {
    const pod = object.kind === 'Pod' ? object : object.spec?.template;
    if (pod !== undefined) found.set(object.metadata.name, pod);
  }
  return found;
}

/** A variable of the first container of a pod: its value, or where it comes from. */
export function env(pod: Yaml, name: string): Yaml {
  const entry = pod.spec.containers[0].env.find((each: Yaml) => each.name === name);
  return entry?.value ?? entry?.valueFrom;
}
