/** Bundles the guest programs, one file each, into `dist/guest/`; run by npm after every install. */
import { existsSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'rolldown'

const root = fileURLToPath(new URL('..', import.meta.url))
const entries = { 'swarm-guest': `${root}guest/main.ts`, 'swarm-workspace': `${root}guest/workspace.ts` }
for (const [name, input] of Object.entries(entries)) {
  if (!existsSync(input)) continue
  const file = `${root}dist/guest/${name}.mjs`
  const unfinished = `${root}dist/guest/.${name}.${process.pid}.mjs`
  await build({
    input,
    platform: 'node',
    logLevel: 'warn',
    output: { file: unfinished, format: 'esm', codeSplitting: false },
  })
  // In one step: a sandbox that is just being started never reads half a program.
  await rename(unfinished, file)
}
