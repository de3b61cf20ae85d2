import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** Levels that SHOAL_LOG_LEVEL may take. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

/** Fields whose value must never be written, wherever they stand in what is logged. */
const SECRETS = ['authorization', 'password', 'currentPassword', 'newPassword', 'token', 'ticket', 'session', 'secret'];

/** A logger that writes JSON lines, to standard output unless told, and leaves credentials out. */
export function createLogger(
  options: { readonly name: string; readonly level: (typeof LOG_LEVELS)[number] },
  destination: DestinationStream = pino.destination(1),
): Logger {
  const settings = {
    name: options.name,
    level: options.level,
    redact: {
      paths: SECRETS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`, `*["shoal-on-behalf"]`]),
      censor: '[redacted]',
    },
    serializers: { error: pino.stdSerializers.errWithCause, err: pino.stdSerializers.errWithCause },
  };
  return pino(settings, destination);
}
