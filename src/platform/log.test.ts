import { expect, test } from 'vitest'
import { createLogger } from './log.ts'

function collect(format: 'json' | 'pretty') {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  return { lines, logger: createLogger({ level: 'info', format, destination }) }
}

test('json: one object per line, secrets left out', () => {
  const { lines, logger } = collect('json')
  logger.child({ run: 'run_1' }).info({ token: 'swm_secret', count: 2 }, 'something happened')
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({
      level: 'info',
      run: 'run_1',
      token: '[secret]',
      count: 2,
      msg: 'something happened',
    }),
  ])
})

test('pretty: one line for people with time of day, level, fact and fields', () => {
  const { lines, logger } = collect('pretty')
  logger
    .child({ run: 'run_1' })
    .warn({ err: new Error('no way'), title: 'two words', token: 'swm_secret' }, 'it went wrong')
  logger.debug({}, 'not written')
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(
    /^\d\d:\d\d:\d\d WARN {2}it went wrong run=run_1 err="no way" title="two words" token=\[secret\]\n$/,
  )
})

test('pretty: hostile text neither ends the line nor reaches the terminal as a command', () => {
  const { lines, logger } = collect('pretty')
  logger.info({ title: 'a\n\u001b]0;owned\u0007\u009b31m\u202eb' }, 'a \u001b[2J fact')
  expect(lines[0]?.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/)
  expect(lines[0]).toContain('owned')
})
