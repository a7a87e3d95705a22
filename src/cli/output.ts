import pc from 'picocolors'
import type { Terminal } from '../platform/terminal.ts'
import { toSafeJson } from './escape-text.ts'

export type Colors = ReturnType<typeof pc.createColors>

/** Data goes to standard output, messages to standard error: a pipe only ever sees data. */
export type Output = {
  /** `text` for people, `json` for programs, `ids` one per line */
  readonly format: 'text' | 'json' | 'ids'
  /** Colours of standard output */
  readonly colors: Colors
  /** Colours of standard error */
  readonly messageColors: Colors
  /** A line of data; the caller has escaped what is not ours */
  line(text: string): void
  /** Bytes of data, as they are; resolves when there is room for more */
  bytes(chunk: Uint8Array | string): Promise<void>
  /** One value: indented on a terminal, else one line */
  json(value: unknown): void
  /** One value of a stream: always one line */
  jsonLine(value: unknown): void
  /** A line for the person, on standard error; not with `-q` */
  message(text: string): void
}

export function createOutput(
  terminal: Terminal,
  options: { json: boolean; quiet: boolean; color: boolean },
): Output {
  const { stdout, stderr } = terminal
  const format = options.json ? 'json' : options.quiet ? 'ids' : 'text'
  return {
    format,
    colors: pc.createColors(options.color && terminal.hasStdoutColor),
    messageColors: pc.createColors(options.color && terminal.hasStderrColor),
    line: (text) => void stdout.write(`${text}\n`),
    bytes: (chunk) =>
      new Promise((resolve) => {
        if (stdout.write(chunk)) resolve()
        else stdout.once('drain', resolve)
      }),
    json: (value) => void stdout.write(`${toSafeJson(value, terminal.isStdoutTerminal ? 2 : undefined)}\n`),
    jsonLine: (value) => void stdout.write(`${toSafeJson(value)}\n`),
    message: (text) => {
      if (!options.quiet) stderr.write(`${text}\n`)
    },
  }
}
