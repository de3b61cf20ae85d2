import type { Command } from 'commander';
import { ShoalError } from '../../../common/errors.js';
import type { CommandContext } from '../command-context.js';
import { bashScript } from '../completion/bash.js';
import { fishScript } from '../completion/fish.js';
import { outlineOf } from '../completion/outline.js';
import { zshScript } from '../completion/zsh.js';
import { write } from '../io.js';
import type { Shell } from '../program.js';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** Prints the script that completes the commands and options of `program` in a shell. */
export async function completion(context: CommandContext, program: Command, shell: Shell): Promise<void> {
  if (context.options.format !== 'table') {
    throw new ShoalError('invalid', 'a completion script has one form, so --output has nothing to choose');
  }
  await write(context.io.stdout, SCRIPTS[shell](outlineOf(program)), context.signal);
}
