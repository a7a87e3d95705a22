/** The bubblewrap driver as an ordinary user: when the tests run as root, this test's process becomes one first. */
import { chmod, chown, copyFile, link, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createTestSandboxDriver, ensureGuestProgram } from '../support/sandbox.ts'
import { describeBubblewrap } from './sandbox-isolation-suite.ts'
import { describeSandboxDriver } from './sandbox-suite.ts'

const NOBODY = 65_534
const paths = await becomeOrdinaryUser()

afterAll(async () => {
  if (paths.directory !== undefined)
    await rm(paths.directory, { recursive: true, force: true }).catch(() => {})
})

test('these tests run as an ordinary user', () => {
  expect(process.getuid?.()).not.toBe(0)
})

const subject = {
  name: 'bubblewrap as an ordinary user',
  isReal: true,
  createDriver: (stateDir: string) => createTestSandboxDriver('bubblewrap', stateDir, paths.options),
}
describeSandboxDriver(subject)
describeBubblewrap(subject)

/** Its node and its guest program must be readable for that user wherever the repository lies. */
async function becomeOrdinaryUser() {
  const guestProgramPath = await ensureGuestProgram()
  if (process.getuid?.() !== 0) return { options: { guestProgramPath, nodePath: process.execPath } }
  const directory = await mkdtemp(join(tmpdir(), 'swarm-readable-'))
  const options = {
    nodePath: join(directory, 'node'),
    guestProgramPath: join(directory, 'swarm-guest.mjs'),
  }
  await link(process.execPath, options.nodePath).catch(() => copyFile(process.execPath, options.nodePath))
  await copyFile(guestProgramPath, options.guestProgramPath)
  await chmod(directory, 0o755)
  await chown(directory, NOBODY, NOBODY)
  process.setgroups?.([])
  process.setgid?.(NOBODY)
  process.setuid?.(NOBODY)
  return { options, directory }
}
