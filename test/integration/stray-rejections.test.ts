import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const MODULE = fileURLToPath(new URL('../../src/platform/stray-rejections.ts', import.meta.url))

async function run(program: string): Promise<{ code: number | null; stdout: string }> {
  const code = `import { surviveStrayRejections } from ${JSON.stringify(MODULE)}\n${program}`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let stdout = ''
  child.stdout.on('data', (data) => (stdout += data))
  await once(child, 'close')
  return { code: child.exitCode, stdout }
}

const STRAY = `void Promise.reject(new Error('stray'))
setTimeout(() => console.log('still here'), 50)`

test('a promise that nobody waited for does not end the process, and is reported', async () => {
  const ended = await run(`surviveStrayRejections((error) => console.log(error.message))\n${STRAY}`)
  expect(ended).toEqual({ code: 0, stdout: 'stray\nstill here\n' })
})

test('once undone it ends the process again, and so does an exception that nobody caught', async () => {
  expect((await run(`surviveStrayRejections(() => {})()\n${STRAY}`)).code).not.toBe(0)
  const thrown = "surviveStrayRejections(() => {})\nsetTimeout(() => { throw new Error('mistake') }, 10)"
  expect((await run(thrown)).code).not.toBe(0)
})
