import { getVersionSpec } from '../../rest-schema/operations/health.ts'
import { operation } from '../operation.ts'

export function getVersion({ config }: { readonly config: { readonly version: string } }) {
  return operation(getVersionSpec, async () => ({
    status: 200,
    body: { name: 'swarm' as const, version: config.version, api: 'v1' as const },
  }))
}
