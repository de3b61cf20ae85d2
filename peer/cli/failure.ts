import type { CommanderError } from 'commander';
import { EXIT_STATUS, ShoalError, toShoalError } from '../../common/errors.js';
import type { OutputStream } from './io.js';
import { printable } from './text.js';

const EXIT_USAGE = 2;

/** How a command ended that commander stopped: after showing help, or because the arguments make no sense. */
export function commanderFailure(error: CommanderError): ShoalError | { readonly exitCode: number } {
  if (error.exitCode === 0) return { exitCode: 0 };
  // Help shown because no command was given.
  if (error.code === 'commander.help') return { exitCode: EXIT_USAGE };
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const guess = suggestion === undefined ? undefined : /\((Did you mean .*)\)/.exec(suggestion)?.[1];
  return new ShoalError('invalid', message, {
    cause: error,
    hint: guess === undefined ? 'see: shoal help, or shoal COMMAND --help' : `d${guess.slice(1)}`,
  });
}

/** Whether an error, or one behind it, says that nobody reads our output any more. */
export function isBrokenPipe(error: unknown): boolean {
  for (let cause = error; typeof cause === 'object' && cause !== null; cause = (cause as Error).cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EPIPE') return true;
  }
  return false;
}

/** Tells what went wrong on `stream`: one line, perhaps a second one with a hint. Returns the exit code. */
export function reportFailure(stream: OutputStream, thrown: unknown): number {
  const error = toShoalError(thrown);
  const hint = error.hint === undefined ? '' : `hint: ${printable(error.hint)}\n`;
  stream.write(`shoal: ${printable(error.message)}${candidates(error)}\n${hint}`);
  return EXIT_STATUS[error.code];
}

/** The files that an ambiguous reference may mean, when the message does not name them already. */
function candidates(error: ShoalError): string {
  const found = error.details?.['candidates'];
  if (!Array.isArray(found)) return '';
  const names = found.filter((name) => typeof name === 'string' && !error.message.includes(name));
  return names.length === 0 ? '' : `: ${printable(names.join(', '))}`;
}
