import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { COMMANDS, type CommandSpec } from '../../src/cli/commands.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { listVariables, SETTING_VARIABLES } from '../../src/config/environment.ts'
import { explainConfig } from '../../src/config/explain-config.ts'
import { parseConfig } from '../../src/config/parse-config.ts'

const DOCS = join(import.meta.dirname, '../../docs/operations')

test('U22: every setting, its default and every variable are documented', async () => {
  const text = await readFile(join(DOCS, 'configuration.md'), 'utf8')
  for (const variable of listVariables()) expect(text).toContain(`\`${variable}\``)
  const places = { workingDirectory: '/', home: '/', isRoot: true }
  const loaded = parseConfig({ text: '', file: null, environment: {}, places })
  for (const { setting, value } of explainConfig(loaded)) {
    const [group] = setting.split('.')
    if (group === 'models' || group === 'forges') expect(text).toContain(`\`${group}.<name>\``)
    else if (setting === 'state-dir') expect(text).toContain(`root: \`${value}\``)
    else
      expect(text).toContain(
        `| \`${setting}\` | \`${typeof value === 'string' ? value : JSON.stringify(value)}\` |`,
      )
  }
  for (const { variable, setting } of SETTING_VARIABLES) {
    expect(text).toMatch(new RegExp(`^\\| \`${variable}\` \\| \`${setting.replaceAll('.', '\\.')}\``, 'm'))
  }
})

test('every command and every exit code is documented', async () => {
  const text = await readFile(join(DOCS, 'cli.md'), 'utf8')
  for (const path of listPaths(COMMANDS, 'swarm')) expect(text).toContain(`\`${path}\``)
  for (const code of Object.values(EXIT)) expect(text).toMatch(new RegExp(`^\\| ${code} \\|`, 'm'))
})

function listPaths(specs: readonly CommandSpec[], parent: string): string[] {
  return specs.flatMap((spec) => {
    const path = `${parent} ${spec.name}`
    return 'commands' in spec ? listPaths(spec.commands, path) : [path]
  })
}
