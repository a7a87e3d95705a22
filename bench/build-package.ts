import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runProcess } from '../src/platform/process.ts'
import { ensureGuestProgram } from '../test/support/sandbox.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Builds the package beside the checkout's own `dist`, where it finds its libraries. Disposing removes it. */
export async function buildPackage(): Promise<AsyncDisposable & { readonly program: string }> {
  const directory = join(ROOT, 'node_modules', '.cache', `swarm-bench-${process.pid}`)
  const remove = () => rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  try {
    await cp(join(ROOT, 'package.json'), join(directory, 'package.json'))
    await cp(join(ROOT, 'bin'), join(directory, 'bin'), { recursive: true })
    const dist = join(directory, 'dist')
    const { code, stdout } = await runProcess({
      argv: [join(ROOT, 'node_modules/.bin/tsc'), '--project', 'tsconfig.build.json', '--outDir', dist],
      cwd: ROOT,
      timeoutMs: 120_000,
      outputBytesMax: 10_000,
    })
    if (code !== 0) throw new Error(`the package was not built: ${stdout}`)
    await cp(join(ROOT, 'src/registry/shipped'), join(dist, 'registry/shipped'), { recursive: true })
    await ensureGuestProgram()
    await cp(join(ROOT, 'dist/guest'), join(dist, 'guest'), { recursive: true })
    return { program: join(directory, 'bin/swarm.cjs'), [Symbol.asyncDispose]: remove }
  } catch (error) {
    await remove()
    throw error
  }
}
