import { type FileHandle, open } from 'node:fs/promises'
import { toAbsolutePath } from '../platform/paths.ts'
import { CliError } from './cli-error.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { describeSystemError } from './system-words.ts'

/** More than any text that the API takes; the API's own bound gives the exact answer. */
const TEXT_BYTES_MAX = 16 * 1024 * 1024

export type TextSource = {
  /** Given as an option; `-` reads standard input */
  readonly text?: string | undefined
  /** Given with `-F`; `-` reads standard input */
  readonly file?: string | undefined
}

/** A longer text from an option, a file or standard input; `undefined` when none is given. */
export async function readText(context: CliContext, { text, file }: TextSource): Promise<string | undefined> {
  if (text !== undefined && file !== undefined) {
    throw new CliError(EXIT.usage, 'the text is given twice: as an option and as a file')
  }
  if (text === '-' || file === '-') return await readStdinText(context, TEXT_BYTES_MAX)
  if (file !== undefined) return await readFileText(context, file)
  return text
}

/** All of standard input as UTF-8. */
export async function readStdinText(context: CliContext, bytesMax: number): Promise<string> {
  const { stdin, isStdinTerminal } = context.terminal
  if (isStdinTerminal) context.output.message('reading from the terminal; end with Ctrl-D')
  const chunks: Buffer[] = []
  let byteCount = 0
  const stop = () => stdin.destroy()
  context.signal.addEventListener('abort', stop, { once: true })
  try {
    for await (const chunk of stdin) {
      chunks.push(Buffer.from(chunk))
      byteCount += chunk.length
      if (byteCount > bytesMax) throw tooLarge('standard input', bytesMax)
    }
  } finally {
    context.signal.removeEventListener('abort', stop)
  }
  context.signal.throwIfAborted()
  return decode(Buffer.concat(chunks), 'standard input')
}

async function readFileText(context: CliContext, written: string): Promise<string> {
  const path = toAbsolutePath(written, context.places.workingDirectory, context.places)
  let handle: FileHandle | undefined
  try {
    handle = await open(path, 'r')
    if ((await handle.stat()).size > TEXT_BYTES_MAX) throw tooLarge(path, TEXT_BYTES_MAX)
    return decode(await handle.readFile(), path)
  } catch (error) {
    if (error instanceof CliError) throw error
    throw new CliError(EXIT.usage, `cannot read ${path}: ${describeSystemError(error)}`, { cause: error })
  } finally {
    await handle?.close()
  }
}

function decode(bytes: Buffer, from: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new CliError(EXIT.usage, `${from} is not UTF-8 text`, { cause })
  }
}

function tooLarge(from: string, bytesMax: number): CliError {
  return new CliError(EXIT.usage, `${from} is larger than ${bytesMax} bytes`)
}
