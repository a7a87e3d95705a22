import { mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { toFailure } from './report-failure.ts'

test('what the system refused says what was tried, on what, and what to do', () => {
  const folder = mkdtempSync(join(tmpdir(), 'swarm-failure-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'absent')
  const absent = caught(() => openSync(file, 'r'))
  expect(toFailure(absent, {})).toMatchObject({
    message: `cannot open ${file}: no such file or directory`,
    hint: undefined,
  })
  const forbidden = Object.assign(new Error('EACCES'), {
    errno: -13,
    code: 'EACCES',
    syscall: 'open',
    path: file,
  })
  expect(toFailure(forbidden, {})).toMatchObject({
    message: `cannot open ${file}: permission denied`,
    hint: 'become the user who owns it, or name another place',
  })
})

test('a configuration that may not be read is not to be corrected: there may be one of one’s own', () => {
  const problem = (code: string) => Object.assign(new Error('x'), { name: 'ConfigError', code })
  expect(toFailure(problem('config_unreadable'), {}).hint).toContain('swarm init')
  expect(toFailure(problem('config_invalid'), {}).hint).toContain('swarm config explain')
})

function caught(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}
