import { Argument, Command, Option } from 'commander';
import { ShoalError } from '../../common/errors.js';
import { VERSION } from '../../common/version.js';
import { collectRef, collectTag, collectText, parseRef, parseSeconds, parseWhole } from './arguments.js';
import type { CommandContext } from './command-context.js';
import type { Io } from './io.js';
import { OUTPUT_FORMATS, type OutputFormat } from './output.js';
import { PROGRESS_MODES, type ProgressMode } from './progress.js';

/** What a command does. A number is its exit code; nothing means 0. */
export type Work = (context: CommandContext) => Promise<number | undefined> | Promise<void>;

/** What the command tree needs from whoever runs it. */
export interface ProgramDeps {
  readonly io: Io;
  readonly env: NodeJS.ProcessEnv;
  /** Runs the work of the command that was chosen. */
  readonly execute: (work: Work) => Promise<void>;
}

/** Values of the options that stand before or after any command. */
export interface GlobalValues {
  readonly output: OutputFormat;
  readonly quiet?: true;
  readonly color: boolean;
  readonly progress: ProgressMode;
  /** Seconds. */
  readonly timeout?: number;
}

/** Shells that a completion script can be made for. */
export type Shell = (typeof SHELLS)[number];

const SHELLS = ['bash', 'zsh', 'fish'] as const;
const VISIBILITIES = ['public', 'private'];
// Limits of the index's contract, repeated only as a first look: the index is who decides.
const MAX_PAGE = 1000;
const MAX_REPLICAS = 100;

/**
 * The tree of commands and options: what `--help` prints, what completion is made from, and which module does the work.
 * Modules are imported when their command runs.
 */
export function createProgram(deps: ProgramDeps): Command {
  const program = new Command('shoal')
    .description('Spreads files through a cluster, peer to peer.')
    .version(`shoal ${VERSION}`, '--version', 'print the version')
    .addOption(new Option('-o, --output <format>', 'how to print the answer').choices(OUTPUT_FORMATS).default('table'))
    .option('--quiet', 'no messages and no progress, only the answer and errors')
    .option('--no-color', 'no colour (also: NO_COLOR in the environment)')
    .addOption(new Option('--progress <mode>', 'how to show progress').choices(PROGRESS_MODES).default('auto'))
    .option('--timeout <seconds>', 'give up after this time', parseSeconds)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => deps.io.stdout.write(text),
      writeErr: (text) => deps.io.stderr.write(text),
      getOutHelpWidth: () => deps.io.stdout.columns || 80,
      getErrHelpWidth: () => deps.io.stderr.columns || 80,
      // Whoever runs the tree prints errors, in the form of all others.
      outputError: () => undefined,
    })
    .exitOverride();
  addFileCommands(program, deps);
  addSwarmCommands(program, deps);
  addAccountCommands(program, deps);
  addProgramCommands(program, deps);
  return program;
}

function addFileCommands(program: Command, { execute }: ProgramDeps): void {
  const ref = 'id, NAME or OWNER/NAME';
  program
    .command('put')
    .description('publish files; prints the id of each')
    .argument('<file...>', 'file to read, or folder of files; - is standard input')
    .option(
      '--as <name>',
      'name to publish under, or what names of files in a folder begin with (default: the base name)',
    )
    .option('--tag <key=value>', 'label; may be repeated', collectTag)
    .addOption(new Option('--visibility <who>', 'who may read it (default: public)').choices(VISIBILITIES))
    .option('--share <user>', 'make it private and let USER read it; may be repeated', collectText)
    .option('--replicas <n>', 'how many peers keep a copy', parseWhole(1, MAX_REPLICAS))
    .option('--no-wait', 'return when the first copy is published')
    .action((files, options) => execute(async (c) => (await import('./commands/put.js')).put(c, files, options)));
  program
    .command('get')
    .description('fetch files; prints their paths')
    .argument('<ref...>', `${ref}; PREFIX/ is every file whose name begins so`, collectRef)
    .option('--to <path>', "file or folder; - is standard output (default: the name's last part, here)")
    .option('--overwrite', 'with PREFIX/: replace files that are there and differ')
    .action((refs, options) => execute(async (c) => (await import('./commands/get.js')).get(c, refs, options)));
  program
    .command('cat')
    .description('write a file to standard output')
    .argument('<ref>', ref, parseRef)
    .action((name) => execute(async (c) => (await import('./commands/get.js')).cat(c, name)));
  addCatalogCommands(program, { execute });
  program
    .command('stat')
    .description('tell all about one file, and who holds it')
    .argument('<ref>', ref, parseRef)
    .action((name) => execute(async (c) => (await import('./commands/stat.js')).stat(c, name)));
  program
    .command('verify')
    .description('re-read what this peer holds of a file and compare it with its digests')
    .argument('<ref>', ref, parseRef)
    .action((name) => execute(async (c) => (await import('./commands/verify.js')).verify(c, name)));
  program
    .command('rm')
    .description('remove a file from the catalogue and, in time, from every peer')
    .argument('<ref>', ref, parseRef)
    .action((name) => execute(async (c) => (await import('./commands/change.js')).remove(c, name)));
  program
    .command('tag')
    .description('set labels of a file, or take them away')
    .argument('<ref>', ref, parseRef)
    .argument('<change...>', 'KEY=VALUE sets, KEY- takes away')
    .action((name, changes) => execute(async (c) => (await import('./commands/change.js')).tag(c, name, changes)));
  program
    .command('share')
    .description('change who may read a file')
    .argument('<ref>', ref, parseRef)
    .addOption(
      new Option('--visibility <who>', 'everybody, or its owner and those it is shared with').choices(VISIBILITIES),
    )
    .option('--share <user>', 'let USER read it; may be repeated', collectText)
    .option('--unshare <user>', 'no longer let USER read it; may be repeated', collectText)
    .action((name, options) => execute(async (c) => (await import('./commands/change.js')).share(c, name, options)));
}

function addCatalogCommands(program: Command, { execute }: Pick<ProgramDeps, 'execute'>): void {
  const limit = () => new Option('--limit <n>', 'files on a page').argParser(parseWhole(1, MAX_PAGE));
  const page = () => new Option('--page <token>', 'go on where an earlier page ended');
  program
    .command('ls')
    .description('list files by name')
    .argument('[prefix]', 'beginning of the name')
    .option('--tag <key=value>', 'only files with this label; may be repeated', collectText)
    .option('--owner <user>', 'only files of this user')
    .addOption(limit())
    .addOption(page())
    .action((prefix, options) => execute(async (c) => (await import('./commands/list.js')).list(c, prefix, options)));
  program
    .command('find')
    .description('find files by the beginnings of words in their names, newest first')
    .argument('<text...>', 'beginnings of words')
    .addOption(limit())
    .addOption(page())
    .action((words, options) => execute(async (c) => (await import('./commands/list.js')).find(c, words, options)));
}

function addSwarmCommands(program: Command, { execute }: ProgramDeps): void {
  const peers = program.command('peers').description('the peers of the swarm');
  peers
    .command('ls', { isDefault: true })
    .description('list them')
    .action(() => execute(async (c) => (await import('./commands/peers.js')).listPeers(c)));
  peers
    .command('ping')
    .description('call one from this peer and measure the round trip')
    .argument('<peer>', 'its name')
    .action((peer) => execute(async (c) => (await import('./commands/peers.js')).pingPeer(c, peer)));
  program
    .command('status')
    .description('how the peer beside this command is doing')
    .action(() => execute(async (c) => (await import('./commands/status.js')).status(c)));
  program
    .command('doctor')
    .description('look for what is wrong and say what to do about it')
    .action(() => execute(async (c) => (await import('./commands/doctor.js')).doctor(c)));
  program
    .command('drain')
    .description('take this peer out of work: it takes no new files, and others copy what only it has')
    .option('--undo', 'let it take files again')
    .action((options) => execute(async (c) => (await import('./commands/drain.js')).drain(c, options)));
}

function addAccountCommands(program: Command, { execute }: ProgramDeps): void {
  const fromStdin = () => new Option('--password-stdin', 'read the password from standard input');
  program
    .command('register')
    .description('create an account and log in')
    .argument('<user>', 'user name')
    .addOption(fromStdin())
    .action((user, options) =>
      execute(async (c) => (await import('./commands/account.js')).register(c, user, options)),
    );
  program
    .command('login')
    .description('begin a session')
    .argument('<user>', 'user name')
    .addOption(fromStdin())
    .action((user, options) => execute(async (c) => (await import('./commands/account.js')).login(c, user, options)));
  program
    .command('logout')
    .description('end the session')
    .action(() => execute(async (c) => (await import('./commands/account.js')).logout(c)));
  program
    .command('whoami')
    .description('tell who is logged in')
    .action(() => execute(async (c) => (await import('./commands/account.js')).whoami(c)));
  program
    .command('passwd')
    .description('change the password of who is logged in')
    .option('--password-stdin', 'read two lines from standard input: the current password and the new one')
    .action((options) => execute(async (c) => (await import('./commands/account.js')).passwd(c, options)));
}

function addProgramCommands(program: Command, { execute, env }: ProgramDeps): void {
  program
    .command('version')
    .description('print the version')
    .action(() => execute(async (c) => (await import('./commands/version.js')).version(c)));
  program
    .command('completion')
    .description('print a script that completes commands and options in a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .action((shell) => execute(async (c) => (await import('./commands/completion.js')).completion(c, program, shell)));
  program
    .command('index')
    .description('run the index server in the foreground')
    .action(async () => {
      refuseOptions(program, 'index');
      await (await import('./commands/programs.js')).runIndex(env);
    });
  program
    .command('peer')
    .description('run the peer in the foreground')
    .action(async () => {
      refuseOptions(program, 'peer');
      await (await import('./commands/programs.js')).runPeer(env);
    });
}

/** The programs print a log and run until they are told to stop: the options of commands would do nothing there. */
function refuseOptions(program: Command, name: string): void {
  for (const option of program.options) {
    const isGiven = program.getOptionValueSource(option.attributeName()) === 'cli';
    if (!isGiven) continue;
    throw new ShoalError('invalid', `'shoal ${name}' takes no ${option.long ?? option.flags}`, {
      hint: 'it is set up by the environment; the README lists every SHOAL_* variable',
    });
  }
}
