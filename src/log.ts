import { type DestinationStream, type Level, type Logger, pino, stdTimeFunctions } from 'pino'

export type { Logger } from 'pino'

export type LogLevel = Level | 'silent'

export interface LoggerOptions {
  readonly level: LogLevel
  /** Standard output unless given. */
  readonly destination?: DestinationStream | undefined
}

/** Header names whose values let somebody act as somebody else. */
const credentialHeaders = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie'] as const

/** One JSON object per line: `level` (a word), `time` (ISO 8601, UTC), `message`, and what the caller adds. */
export function createLogger({ level, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: null,
    messageKey: 'message',
    errorKey: 'error',
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redactedPaths(), censor: '[redacted]' },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

/** Where a header can stand in a logged object: at the top, in `headers`, and one level below either. */
function redactedPaths(): string[] {
  return credentialHeaders
    .flatMap(name => [name, name.replace(/(^|-)[a-z]/g, letter => letter.toUpperCase())])
    .flatMap(name => [`["${name}"]`, `*["${name}"]`, `*.headers["${name}"]`])
}
