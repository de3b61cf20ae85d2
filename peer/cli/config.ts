import { dirname, join, resolve } from 'node:path';
import { EnvReader } from '../../common/env.js';

/** What the command line takes from the environment. */
export interface CliConfig {
  /** Absolute path of the control socket of the peer beside us. */
  readonly socketPath: string;
  /** Absolute path of the file that keeps the session. */
  readonly sessionPath: string;
  /** The password, for `register`, `login` and `passwd`. */
  readonly password: string | undefined;
  /** Whether the environment asks for output without colour (https://no-color.org). */
  readonly isColorOff: boolean;
  /** Whether the terminal cannot move its cursor. */
  readonly isDumbTerminal: boolean;
}

/** Reads the environment of the command line; relative paths start from `cwd`. */
export function readCliConfig(env: NodeJS.ProcessEnv, cwd: string): CliConfig {
  const reader = new EnvReader(env);
  const dataDir = reader.string('SHOAL_DATA_DIR', join('data', 'peer-1'));
  const socketPath = resolve(cwd, reader.string('SHOAL_SOCKET', join(dataDir, 'control.sock')));
  const config: CliConfig = {
    socketPath,
    sessionPath: resolve(cwd, reader.string('SHOAL_SESSION_FILE', join(dirname(socketPath), 'session'))),
    password: reader.optional('SHOAL_PASSWORD'),
    isColorOff: reader.optional('NO_COLOR') !== undefined,
    isDumbTerminal: reader.optional('TERM') === 'dumb',
  };
  reader.finish();
  return Object.freeze(config);
}
