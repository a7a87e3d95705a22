import type { Command } from 'commander'
import { loadConfig } from '../../config/load-config.ts'
import { escapeLine } from '../escape-text.ts'
import { EXIT } from '../exit-codes.ts'
import type { Act } from '../program.ts'
import type { Check } from './doctor/check.ts'
import { checkConfig, checkSecrets } from './doctor/check-config.ts'
import { checkDaemon } from './doctor/check-daemon.ts'
import { checkGit, checkGuest, checkNode } from './doctor/check-programs.ts'
import { checkSandbox } from './doctor/check-sandbox.ts'
import { checkStateDir } from './doctor/check-state-dir.ts'
import { checkStore } from './doctor/check-store.ts'
import { checkTrackers } from './doctor/check-trackers.ts'
import { toOverrides } from './overrides.ts'

export function configure(command: Command, act: Act): void {
  command.addHelpText('after', '\nExit code 1 when something must be mended. Nothing is changed.').action(
    act(async (context) => {
      const { environment, places, globals, output, signal } = context
      const { check, loaded } = await checkConfig(() =>
        loadConfig({ configPath: globals.config, environment, places, flags: toOverrides(globals) }),
      )
      const config = loaded?.config
      const checks: readonly Check[] = (
        await Promise.all([
          [checkNode(process.versions.node)],
          checkGit(signal),
          [checkGuest()],
          [check],
          config === undefined ? [] : checkStateDir(config.stateDir),
          config === undefined ? [] : checkStore(config, environment),
          config === undefined ? [] : checkSandbox(config.sandbox.driver, signal),
          config === undefined ? [] : checkSecrets(config, environment),
          config === undefined ? [] : checkTrackers(config, signal),
          checkDaemon(context),
        ])
      ).flat()
      if (output.format === 'json') output.json({ checks })
      else if (output.format === 'text')
        for (const each of checks) for (const line of toLines(each, output.colors)) output.line(line)
      const failed = checks.filter(({ state }) => state === 'fail')
      if (failed.length === 0) return
      if (output.format === 'ids') for (const { name } of failed) output.line(name)
      output.message(`${failed.length} of ${checks.length} checks failed`)
      return EXIT.failed
    }),
  )
}

type Colors = Parameters<Parameters<Act>[0]>[0]['output']['colors']

function toLines({ state, name, detail, fix }: Check, colors: Colors): string[] {
  const mark = { ok: colors.green('ok  '), warn: colors.yellow('warn'), fail: colors.red('FAIL') }[state]
  const lines = [`${mark}  ${name}: ${escapeLine(detail)}`]
  if (fix !== null) lines.push(`      fix: ${escapeLine(fix)}`)
  return lines
}
