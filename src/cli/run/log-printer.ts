import { type SwarmClient, toLogBytes } from '../../client/client.ts'
import type { CliContext } from '../context.ts'
import { escapeProgramOutput, toSafeJson } from '../escape-text.ts'
import { formatClock } from '../format.ts'

export type LogFormat = {
  readonly hasTimestamps: boolean
  /** Bytes as they are, also to a terminal */
  readonly isRaw: boolean
}

export type LogPiece =
  ReturnType<SwarmClient['runs']['followLog']> extends AsyncIterable<infer Piece> ? Piece : never

export type LogPrinter = {
  /** Prints a piece, or keeps its lines until `release` */
  write(piece: LogPiece, options: { isHeldBack: boolean }): Promise<void>
  /** Prints the last lines of those held back, and drops the others */
  release(lineCount: number): Promise<void>
  /** Prints a last line that has no end */
  end(): Promise<void>
}

type StreamState = { readonly decoder: InstanceType<typeof TextDecoder>; rest: string; at: string }

const HELD_LINE_COUNT_MAX = 1_000_000
/** What an agent tells the coordinator, not people; see the guide about agent packages */
const AGENT_EVENT_MARK = '::swarm::'

/**
 * Prints the output of one attempt. To a file or a pipe it goes byte for byte unless something is to be added
 * to its lines; to a terminal line by line, made harmless. With `--json` each piece is a line.
 */
export function createLogPrinter(
  { output, terminal }: CliContext,
  log: { readonly stepKey: string; readonly attempt: number },
  format: LogFormat & { readonly hasStepNames: boolean },
): LogPrinter {
  const isByteForByte =
    (format.isRaw || !terminal.isStdoutTerminal) && !format.hasTimestamps && !format.hasStepNames
  const held: (string | Uint8Array)[] = []
  const decoders = new Map<string, StreamState>()

  const toLine = (text: string, at: string) => {
    const time = format.hasTimestamps ? `${formatClock(at)} ` : ''
    const name = format.hasStepNames ? `${log.stepKey} | ` : ''
    const shown = format.isRaw ? text : escapeProgramOutput(text)
    return `${output.colors.dim(`${time}${name}`)}${shown}\n`
  }
  const toLines = (piece: LogPiece): (string | Uint8Array)[] => {
    if (output.format === 'json') {
      return [`${toSafeJson({ stepKey: log.stepKey, attempt: log.attempt, ...piece })}\n`]
    }
    if (isByteForByte) return [toLogBytes(piece)]
    // Standard output and error are cut into pieces apart from each other.
    const state = decoders.get(piece.stream) ?? { decoder: new TextDecoder(), rest: '', at: piece.at }
    decoders.set(piece.stream, state)
    const lines = (state.rest + state.decoder.decode(toLogBytes(piece), { stream: true })).split('\n')
    state.rest = lines.pop() ?? ''
    state.at = piece.at
    const told = format.isRaw ? lines : lines.filter((line) => !line.startsWith(AGENT_EVENT_MARK))
    return told.map((line) => toLine(line.replace(/\r$/, ''), piece.at))
  }
  const print = async (lines: readonly (string | Uint8Array)[]) => {
    for (const line of lines) await output.bytes(line)
  }
  return {
    write: async (piece, { isHeldBack }) => {
      const lines = toLines(piece)
      if (!isHeldBack) return await print(lines)
      held.push(...lines)
      if (held.length > HELD_LINE_COUNT_MAX) held.splice(0, held.length - HELD_LINE_COUNT_MAX)
    },
    release: async (lineCount) => {
      const pieces = held.splice(0)
      // A piece of bytes may end within a line.
      const isBytes = isByteForByte && output.format !== 'json'
      const lines = isBytes ? splitLines(Buffer.concat(pieces.map((piece) => Buffer.from(piece)))) : pieces
      await print(lineCount === 0 ? [] : lines.slice(-lineCount))
    },
    end: async () => {
      for (const { rest, at } of decoders.values()) if (rest !== '') await print([toLine(rest, at)])
    },
  }
}

/** Lines with their ends; the bytes together are the same. */
function splitLines(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = []
  let start = 0
  for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
    lines.push(bytes.subarray(start, end + 1))
    start = end + 1
  }
  if (start < bytes.length) lines.push(bytes.subarray(start))
  return lines
}
