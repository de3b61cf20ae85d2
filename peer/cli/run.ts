import { type Command, CommanderError } from 'commander';
import { abortError, ShoalError } from '../../common/errors.js';
import { CommandContext, type CommonOptions } from './command-context.js';
import { type CliConfig, readCliConfig } from './config.js';
import { commanderFailure, isBrokenPipe, reportFailure } from './failure.js';
import type { Io } from './io.js';
import { createProgram, type GlobalValues, type Work } from './program.js';

/**
 * Runs one command line, `argv` without the program's name, and returns its exit code. Never throws.
 *
 * A reader that leaves early (`shoal cat x | head -1`) has what it wanted: the command stops and that is no failure.
 */
export async function run(argv: readonly string[], io: Io, env: NodeJS.ProcessEnv): Promise<number> {
  const stop = new AbortController();
  const onOutputError = (error: Error) => stop.abort(error);
  io.stdout.on('error', onOutputError);
  // When standard error is gone there is nobody left to tell, and a transfer need not fail for it.
  io.stderr.on('error', ignore);
  let exitCode = 0;
  try {
    const config = readCliConfig(env, io.cwd);
    const program = createProgram({
      io,
      env,
      execute: async (work) => {
        exitCode = (await execute({ io, config, stop, program }, work)) ?? 0;
      },
    });
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (stop.signal.aborted) io.dropOutput();
    if (isBrokenPipe(error)) return 0;
    const failure = error instanceof CommanderError ? commanderFailure(error) : error;
    if (isExit(failure)) return failure.exitCode;
    return reportFailure(io.stderr, failure);
  } finally {
    io.stdout.off('error', onOutputError);
    io.stderr.off('error', ignore);
  }
}

interface Execution {
  readonly io: Io;
  readonly config: CliConfig;
  readonly stop: AbortController;
  readonly program: Command;
}

/** Runs the work of a command until it ends, is interrupted, or its time is over. */
async function execute({ io, config, stop, program }: Execution, work: Work): Promise<number | undefined> {
  const values = program.opts<GlobalValues>();
  const context = new CommandContext({ io, config, signal: stop.signal }, commonOptions(program, config));
  const release = io.onInterrupt(() => stop.abort(new ShoalError('cancelled', 'interrupted')));
  const timer =
    values.timeout === undefined
      ? undefined
      : setTimeout(() => stop.abort(outOfTime(values.timeout ?? 0)), values.timeout * 1000);
  try {
    return (await work(context)) ?? undefined;
  } catch (error) {
    throw stop.signal.aborted ? abortError(stop.signal) : error;
  } finally {
    clearTimeout(timer);
    release();
    context.close();
  }
}

function commonOptions(program: Command, config: CliConfig): CommonOptions {
  const values = program.opts<GlobalValues>();
  const isChosen = program.getOptionValueSource('progress') !== 'default';
  return {
    format: values.output,
    isQuiet: values.quiet === true,
    hasColor: values.color && !config.isColorOff && !config.isDumbTerminal,
    // Quiet means no progress either, unless someone asks for it by name: a program may want events and nothing else.
    progress: values.quiet === true && !isChosen ? 'none' : values.progress,
  };
}

function outOfTime(seconds: number): ShoalError {
  return new ShoalError('timeout', `took longer than the ${seconds} s of --timeout`);
}

function isExit(failure: unknown): failure is { readonly exitCode: number } {
  return typeof failure === 'object' && failure !== null && !(failure instanceof Error) && 'exitCode' in failure;
}

function ignore(): void {}
