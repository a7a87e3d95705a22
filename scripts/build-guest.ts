/** Bundles the guest program into one file, `dist/guest/swarm-guest.mjs`; run by npm after every install. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'rolldown'

const root = fileURLToPath(new URL('..', import.meta.url))
const entries = { 'swarm-guest': `${root}guest/main.ts`, 'swarm-workspace': `${root}guest/workspace.ts` }
for (const [name, input] of Object.entries(entries)) {
  if (!existsSync(input)) continue
  await build({
    input,
    platform: 'node',
    logLevel: 'warn',
    output: { file: `${root}dist/guest/${name}.mjs`, format: 'esm', codeSplitting: false },
  })
}
