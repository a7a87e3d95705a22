/** Structured logs: one event per line, a fact in the past tense. Secrets are a type that cannot be printed. */
import { type DestinationStream, pino } from 'pino'
import { toPrettyLine } from './pretty-line.ts'

export type LogFields = Readonly<Record<string, unknown>>

export type Logger = {
  debug(fields: LogFields, fact: string): void
  info(fields: LogFields, fact: string): void
  warn(fields: LogFields, fact: string): void
  error(fields: LogFields, fact: string): void
  /** A logger whose lines all carry these fields. */
  child(fields: LogFields): Logger
}

/** Names of fields that are never printed, wherever they stand. */
const REDACTED = ['authorization', 'secret', 'token', 'apiKey', 'password', 'cookie'].flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
])

/**
 * @param level lowest level that is written
 * @param format `pretty`: a line for people instead of JSON
 * @param destination where lines go; standard error when absent
 */
export function createLogger(options: {
  level: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  format?: 'json' | 'pretty'
  destination?: DestinationStream
}): Logger {
  const settings = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: REDACTED, censor: '[secret]' },
  }
  const destination = options.destination ?? pino.destination(2)
  return toLogger(pino(settings, options.format === 'pretty' ? toPretty(destination) : destination))
}

function toPretty(destination: DestinationStream): DestinationStream {
  return { write: (line) => destination.write(toPrettyLine(line)) }
}

type PinoLike = {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): PinoLike
}

function toLogger(inner: PinoLike): Logger {
  return {
    debug: (fields, fact) => inner.debug(fields, fact),
    info: (fields, fact) => inner.info(fields, fact),
    warn: (fields, fact) => inner.warn(fields, fact),
    error: (fields, fact) => inner.error(fields, fact),
    child: (fields) => toLogger(inner.child(fields)),
  }
}
