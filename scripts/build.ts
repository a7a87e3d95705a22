/** `npm run build`: the package as it is published, in `dist/`. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
rmSync(`${root}dist`, { recursive: true, force: true })
run('tsc', '--project', 'tsconfig.build.json')
// What others may import has types; no other part of the package is for them.
run('tsc', '--project', 'scripts/client-types.json')
// Agents and workflows go as they are: agents run from their source inside a sandbox, and their digest is theirs.
cpSync(`${root}src/registry/shipped`, `${root}dist/registry/shipped`, { recursive: true })
run('node', 'scripts/build-guest.ts')
if (!existsSync(`${root}dist/guest/swarm-guest.mjs`)) throw new Error('the guest program was not built')

function run(command: string, ...args: string[]): void {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
