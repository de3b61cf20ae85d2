import { toShoalError } from '../../common/errors.js';
import type { CliConfig } from './config.js';
import type { ControlClient } from './control-client.js';
import { probeControlSocket } from './control-socket.js';
import type { Io } from './io.js';
import { type OutputFormat, printReport, type Report } from './output.js';
import { createProgress, type ProgressMode, type ProgressView } from './progress.js';
import { readSession, type StoredSession } from './session-file.js';
import { printable } from './text.js';

/** For a terminal that does not know its size. */
const DEFAULT_COLUMNS = 80;

/** The options that every command takes. */
export interface CommonOptions {
  readonly format: OutputFormat;
  readonly isQuiet: boolean;
  readonly hasColor: boolean;
  readonly progress: ProgressMode;
}

/** What a command works with: where it reads and writes, how, and until when. */
export class CommandContext {
  readonly io: Io;
  readonly config: CliConfig;
  readonly options: CommonOptions;
  /** Fires with the reason when the command must end: interrupted, out of time, or nobody reads its output. */
  readonly signal: AbortSignal;
  #client: ControlClient | undefined;

  constructor(deps: { io: Io; config: CliConfig; signal: AbortSignal }, options: CommonOptions) {
    this.io = deps.io;
    this.config = deps.config;
    this.signal = deps.signal;
    this.options = options;
  }

  /** The daemon, for the user who is logged in. One connection serves the whole command. */
  async connect(): Promise<ControlClient> {
    return this.#client ?? this.connectAs(await readSession(this.config.sessionPath));
  }

  /** The daemon, for the holder of a session, or for nobody. */
  async connectAs(session: StoredSession | undefined): Promise<ControlClient> {
    this.close();
    const { ControlClient } = await import('./control-client.js');
    const { socketPath } = this.config;
    this.#client = await ControlClient.connect({ socketPath, session, signal: this.signal });
    return this.#client;
  }

  /** Whether a daemon listens on the control socket. */
  async isPeerThere(): Promise<boolean> {
    try {
      await probeControlSocket(this.config.socketPath, this.signal);
      return true;
    } catch (error) {
      if (toShoalError(error).code === 'unavailable') return false;
      throw error;
    }
  }

  /** Shows what was found, on standard output. */
  report(report: Report): Promise<void> {
    const { format, hasColor } = this.options;
    const { stdout } = this.io;
    const style =
      stdout.isTTY === true
        ? { hasColor, columns: stdout.columns || DEFAULT_COLUMNS }
        : { hasColor: false, columns: undefined };
    return printReport(stdout, report, { format, signal: this.signal, ...style });
  }

  /** Tells a person something, in one line on standard error, unless they asked for quiet. */
  note(message: string): void {
    if (!this.options.isQuiet) this.io.stderr.write(`${printable(message)}\n`);
  }

  /** A new view of progress, on standard error. */
  progress(): ProgressView {
    const { stderr, now } = this.io;
    return createProgress(
      { stream: stderr, now },
      { mode: this.options.progress, canDraw: stderr.isTTY === true && !this.config.isDumbTerminal },
    );
  }

  /** Hangs up. */
  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }
}
