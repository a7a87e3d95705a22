import type { Override } from '../../config/parse-config.ts'
import type { GlobalOptions } from '../context.ts'

/** What the command line says about the configuration. */
export function toOverrides(
  globals: GlobalOptions,
  options: { readonly port?: string } = {},
): readonly Override[] {
  const overrides: Override[] = []
  if (globals.stateDir !== undefined) {
    overrides.push({ setting: 'state-dir', value: globals.stateDir, origin: 'flag --state-dir' })
  }
  if (options.port !== undefined) {
    overrides.push({ setting: 'listen.port', value: toPort(options.port), origin: 'flag --port' })
  }
  return overrides
}

/** What is no number stays text, so that the configuration refuses it with its name. */
function toPort(text: string): string | number | null {
  if (text === 'none') return null
  return /^\d{1,6}$/.test(text) ? Number(text) : text
}
