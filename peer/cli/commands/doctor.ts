import { EXIT_STATUS, toShoalError } from '../../../common/errors.js';
import { VERSION } from '../../../common/version.js';
import type { Check__Output } from '../../../proto/gen/shoal/control/v1/Check.js';
import type { CommandContext } from '../command-context.js';
import type { ControlClient } from '../control-client.js';
import { readSession, type StoredSession } from '../session-file.js';
import { renderTable } from '../table.js';

/** One question and its answer, as JSON shows it. */
interface Check {
  readonly name: string;
  readonly result: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  readonly hint: string | null;
}

const RESULTS: Readonly<Record<Check__Output['result'], Check['result']>> = {
  CHECK_RESULT_UNSPECIFIED: 'warning',
  CHECK_RESULT_OK: 'ok',
  CHECK_RESULT_WARNING: 'warning',
  CHECK_RESULT_FAILED: 'failed',
};

/**
 * Looks for what is wrong and says what to do about it. Returns the exit code: 0 when nothing failed, 1 when something
 * did, or the code of why the peer beside us cannot be asked.
 */
export async function doctor(context: CommandContext): Promise<number> {
  const session = await examine(context, 'session', () => checkSession(context));
  const daemon = await examine(context, 'control socket', () => checkDaemon(context, session.found));
  const checks = [session.check, daemon.check, ...(daemon.found ?? [])];
  await report(context, checks);
  if (daemon.exitCode !== 0) return daemon.exitCode;
  return checks.some((check) => check.result === 'failed') ? 1 : 0;
}

interface Examination<T> {
  readonly check: Check;
  /** What was found on the way, when the check did not fail. */
  readonly found: T | undefined;
  readonly exitCode: number;
}

/** Runs a check; what it throws is what failed. An interrupt is no finding and is thrown. */
async function examine<T>(
  { signal }: CommandContext,
  name: string,
  look: () => Promise<{ readonly check: Omit<Check, 'name'>; readonly found: T }>,
): Promise<Examination<T>> {
  try {
    const { check, found } = await look();
    return { check: { name, ...check }, found, exitCode: 0 };
  } catch (thrown) {
    const error = toShoalError(thrown);
    if (signal.aborted) throw error;
    const check = { name, result: 'failed', detail: error.message, hint: error.hint ?? null } as const;
    return { check, found: undefined, exitCode: EXIT_STATUS[error.code] };
  }
}

async function checkSession(context: CommandContext) {
  const session = await readSession(context.config.sessionPath);
  const detail =
    session === undefined
      ? "nobody is logged in: commands act as the peer's own account"
      : `${session.username}, until ${session.expiresAt}`;
  return { check: { result: 'ok', detail, hint: null } as const, found: session };
}

async function checkDaemon(context: CommandContext, session: StoredSession | undefined) {
  const client = await context.connectAs(session);
  const { peer, version } = await client.call('Status', {});
  const isSame = version === VERSION;
  const check = {
    result: isSame ? ('ok' as const) : ('warning' as const),
    detail: `${peer} answers at ${context.config.socketPath}${isSame ? '' : `, version ${version}; this command is ${VERSION}`}`,
    hint: isSame ? null : 'run the command that came with the peer',
  };
  return { check, found: await remoteChecks(client) };
}

async function remoteChecks(client: ControlClient): Promise<readonly Check[]> {
  const { checks } = await client.call('Diagnose', {});
  return checks.map(({ name, result, detail, hint }) => ({
    name,
    result: RESULTS[result],
    detail,
    hint: hint === '' ? null : hint,
  }));
}

function report(context: CommandContext, checks: readonly Check[]): Promise<void> {
  return context.report({
    json: { checks },
    items: checks,
    names: checks.filter((check) => check.result !== 'ok').map((check) => check.name),
    table: (style) =>
      renderTable(
        [{ title: 'CHECK' }, { title: 'RESULT' }, { title: 'DETAIL' }],
        checks.flatMap((check) => [
          [check.name, check.result, check.detail],
          ...(check.hint === null ? [] : [['', '', `hint: ${check.hint}`]]),
        ]),
        style,
      ),
  });
}
