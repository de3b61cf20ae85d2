// Who may import whom. One ESLint rule, because `no-restricted-imports` neither sees `import()` nor knows where a relative
// path leads. Paths below are those of the repository, as the import names them (`.js` for a TypeScript source).

import { dirname, join, relative, sep } from 'node:path';

/** Doors run when they are loaded: only the command line, which is the one program there is, opens the other two. */
const DOOR = /^(common|index-server|peer|load-tests|k8s)\/(main|cli)\.js$/;
const DOOR_KEEPER = /^peer\/(cli\.ts|cli\/.*)$/;
const DOOR_REASON = 'a main or cli is a program: it runs when it is loaded. Import the module that does the work';

const WALLS = [
  {
    inside: /^common\//,
    mayImport: /^(common|proto\/gen)\//,
    reason: 'common is what both programs need, so it knows neither of them',
  },
  {
    inside: /^index-server\//,
    mayImport: /^(index-server|common|proto\/gen)\//,
    reason: 'the index server works without any peer; what both need belongs in common',
  },
  {
    inside: /^peer\/wire\//,
    mayImport: /^(peer\/(wire|tls)|common)\/|^peer\/rich-status\.js$/,
    reason: 'peer/wire moves messages: it knows neither files nor swarms',
  },
  {
    inside: /^peer\/store\//,
    mayImport: /^(peer\/store|common)\/|^peer\/(manifest|chunk-set|hasher|stored-file)\.js$/,
    reason: 'peer/store keeps chunks: it knows neither the network nor who asks',
  },
  {
    inside: /^peer\//,
    mayImport: /^(peer|common|proto\/gen)\/|^index-server\/(api\/.*|client)\.js$/,
    reason: 'a peer knows of the index server what goes over the network: index-server/api and index-server/client',
  },
  {
    inside: /^load-tests\//,
    mayImport:
      /^(load-tests|common|proto\/gen)\/|^index-server\/(api\/.*|client|catalog|open-catalog)\.js$|^peer\/(.*\/)?(chunk-picker|chunk-set|manifest|picker-options|send-queue)\.js$/,
    reason:
      'load tests drive the programs from outside; of their code they take the pure modules, the index client, and the catalogue to fill one',
  },
];

const PACKAGES = [
  {
    name: 'express',
    importers: /^index-server\/|^peer\/http|^common\/express-server/,
    reason:
      'HTTP is an edge: only the index server, peer/http* and the server that both share know that express exists',
  },
];

const TEST = /\.test\.ts$|(^|\/)testing\//;

/**
 * Why `importer` may not import `specifier`, or undefined when it may.
 *
 * @param {string} importer path in the repository, such as `peer/fetch.ts`
 * @param {string} specifier what stands in the import
 * @returns {string | undefined}
 */
export function objection(importer, specifier) {
  if (!specifier.startsWith('.')) {
    const found = PACKAGES.find(({ name }) => specifier === name || specifier.startsWith(`${name}/`));
    return found && !found.importers.test(importer) && !TEST.test(importer) ? found.reason : undefined;
  }
  const target = join(dirname(importer), specifier).split(sep).join('/');
  if (DOOR.test(target)) return DOOR_KEEPER.test(importer) ? undefined : DOOR_REASON;
  // A test may build a whole system of real parts.
  if (TEST.test(importer)) return undefined;
  if (TEST.test(target)) return 'what helps tests is not part of the program';
  const wall = WALLS.find(({ inside }) => inside.test(importer));
  return wall && !wall.mayImport.test(target) ? wall.reason : undefined;
}

/** The rule for eslint.config.mjs. */
export const boundaries = {
  meta: { type: 'problem', schema: [], messages: { refused: "'{{specifier}}': {{reason}}." } },
  create(context) {
    const importer = relative(context.cwd, context.filename).split(sep).join('/');
    const check = (node) => {
      const specifier = node.source?.value;
      if (typeof specifier !== 'string') return;
      const reason = objection(importer, specifier);
      if (reason) context.report({ node, messageId: 'refused', data: { specifier, reason } });
    };
    return {
      ImportDeclaration: check,
      ImportExpression: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
    };
  },
};
