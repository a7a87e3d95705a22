import type { Terminal } from '../platform/terminal.ts'
import { escapeLine } from './escape-text.ts'
import { formatElapsed } from './format.ts'
import type { Output } from './output.ts'
import { cut } from './table.ts'

/** What is going on during long work, on standard error. */
export type Progress = {
  /** A line that stays */
  line(text: string): void
  /** What goes on now: one line that is drawn again; nothing where that is not possible */
  status(text: string): void
  /** Removes the drawn line; safe to call twice */
  stop(): void
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const REDRAW_MS = 100

/** Plain lines where standard error is no terminal, a moving line below them where it is. */
export function startProgress({ stderr, canRedraw }: Terminal, output: Output): Progress {
  const startedAt = Date.now()
  let current = ''
  let frame = 0
  const clear = () => {
    if (canRedraw) stderr.write('\r\u001b[K')
  }
  const draw = () => {
    if (current === '') return
    const mark = FRAMES[frame % FRAMES.length] ?? ''
    frame += 1
    const text = cut(
      `${mark} ${current} ${formatElapsed(Date.now() - startedAt)}`,
      (stderr.columns || 80) - 1,
    )
    stderr.write(`\r${text}\u001b[K`)
  }
  const isQuiet = output.format === 'ids'
  let timer = canRedraw && !isQuiet ? setInterval(draw, REDRAW_MS) : undefined
  timer?.unref()
  return {
    line: (text) => {
      if (isQuiet) return
      clear()
      stderr.write(`${text}\n`)
    },
    status: (text) => {
      current = escapeLine(text)
    },
    stop: () => {
      if (timer === undefined) return
      clear()
      clearInterval(timer)
      timer = undefined
    },
  }
}
