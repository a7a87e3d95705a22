import { createHash } from 'node:crypto'
import { SandboxError, type Template, type TemplateSpec } from './contract.ts'

/** The template of a spec where nothing has to be built: the same spec gives the same key. */
export function parseTemplateSpec(spec: TemplateSpec, driver: string): Template {
  if (spec.rootDirectory !== undefined && !spec.rootDirectory.startsWith('/')) {
    throw new SandboxError('request_invalid', `rootDirectory must be absolute: ${spec.rootDirectory}`)
  }
  const canonical = JSON.stringify([driver, spec.rootDirectory ?? null])
  return { key: createHash('sha256').update(canonical).digest('hex').slice(0, 16), driver, spec }
}
