import type { ServiceManager } from '../../../platform/service-manager.ts'
import type { CliContext } from '../../context.ts'
import {
  type FoundFile,
  findPlace,
  type PlaceOptions,
  parseManager,
  readFiles,
  type ServicePlace,
} from './service-files.ts'

/** The service as it lies on the disk. */
export type Installed = { readonly place: ServicePlace; readonly files: readonly FoundFile[] }

/** Of the manager that was named; without a name the one whose file is there, systemd's first. */
export async function findInstalled(
  context: CliContext,
  { manager, output }: PlaceOptions,
): Promise<Installed> {
  const look = async (name: ServiceManager): Promise<Installed> => {
    const place = await findPlace(context, name, output)
    return { place, files: await readFiles(place) }
  }
  const first = await look(parseManager(manager))
  if (manager !== undefined || isThere(first)) return first
  // Without a configuration there is no place where PM2's file would be looked for.
  const second = await look('pm2').catch(() => undefined)
  return second !== undefined && isThere(second) ? second : first
}

export function isThere({ files }: Installed): boolean {
  return files[0]?.found.kind !== 'absent'
}
