// Writes what each proto file says, and the files that it imports, as a TypeScript module: NAME-descriptor.ts with an INamespace of
// protobufjs. Who imports it need not load the parser and read the file. Arguments: the folder to write to, and paths
// below proto/.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const folder = fileURLToPath(new URL('../proto', import.meta.url));
const [target, ...paths] = process.argv.slice(2);

for (const path of paths) {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, imported) => join(folder, imported);
  root.loadSync(path).resolveAll();
  const lines = [
    `/** What ${path} says. */`,
    `export const DESCRIPTOR: object = ${JSON.stringify(root.toJSON())};`,
    '',
  ];
  writeFileSync(join(target, path.replace(/\.proto$/, '-descriptor.ts')), lines.join('\n'));
}
