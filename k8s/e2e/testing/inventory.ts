import { eventually } from './cluster.js';
import { run } from './shell.js';

/** What every namespace has, or what comes and goes by itself. */
const NOT_OURS = /^(events|serviceaccounts\/default$|configmaps\/kube-root-ca\.crt$|pods\.metrics)/;

/** Everything in a namespace, `kind/name`, sorted, once what is being deleted is gone. */
export async function listAll(namespace: string): Promise<string[]> {
  const kinds = (await run('kubectl', ['api-resources', '--namespaced', '--verbs=list', '--output=name'])).trim();
  const template = '{range .items[*]}{.kind}/{.metadata.name} {.metadata.deletionTimestamp}{"\\n"}{end}';
  return eventually('nothing is being deleted', 60_000, async () => {
    const found: string[] = [];
    for (const kind of kinds.split('\n').filter((name) => !NOT_OURS.test(name))) {
      const rows = await run('kubectl', ['--namespace', namespace, 'get', kind, `--output=jsonpath=${template}`]);
      for (const row of rows.split('\n').filter(Boolean)) {
        const [name = '', deletedAt] = row.split(' ');
        if (deletedAt) return undefined;
        found.push(`${kind}/${name.split('/')[1]}`);
      }
    }
    return found.filter((name) => !NOT_OURS.test(name)).sort();
  });
}
