import { VERSION } from '../../../common/version.js';
import type { CommandContext } from '../command-context.js';

/** Tells which version this is; asks nobody. */
export function version(context: CommandContext): Promise<void> {
  return context.report({
    json: { version: VERSION, node: process.version },
    names: [VERSION],
    table: () => `shoal ${VERSION}\n`,
  });
}
