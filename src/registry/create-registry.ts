import { join } from 'node:path'
import { buildCatalogue } from './build-catalogue.ts'
import { type Registry, RegistryError, type RegistryRecords, type Validation } from './contract.ts'
import { readPackage } from './read-package.ts'
import { registerAgent } from './register-agent.ts'
import { registerShipped, SHIPPED_DIRECTORY } from './register-shipped.ts'
import { readWorkflow, registerWorkflow } from './register-workflow.ts'
import { toAgentPackage } from './to-agent-package.ts'
import { findNewest } from './version.ts'

export type RegistryOptions = {
  readonly records: RegistryRecords
  /** Where copies of agent packages are kept: `<state directory>/registry` */
  readonly directory: string
  /** Folder with `agents/` and `workflows/`; absent: what comes with Swarm */
  readonly shippedDirectory?: string
}

/** The registry of one coordinator. Keeps nothing in memory: what is recorded is what there is. */
export function createRegistry(options: RegistryOptions): Registry {
  const { records } = options
  const place = {
    records,
    directory: join(options.directory, 'agents'),
    shipped: options.shippedDirectory ?? SHIPPED_DIRECTORY,
  }

  const findAgent = async (name: string, version?: string) => {
    if (version !== undefined) return await records.read.findAgent({ name, version })
    return findNewest((await records.read.listAgents()).filter((agent) => agent.name === name))
  }
  const findWorkflow = async (name: string, version?: string) => {
    if (version !== undefined) return await records.read.findWorkflow({ name, version })
    return findNewest((await records.read.listWorkflows()).filter((workflow) => workflow.name === name))
  }

  return {
    listAgents: () => records.read.listAgents(),
    async getAgent(name, version) {
      return (await findAgent(name, version)) ?? refuseUnknown('agent', name, version)
    },
    async findPackage(name, version) {
      const record = await findAgent(name, version)
      return record === undefined ? undefined : toAgentPackage(record)
    },
    async registerAgent(directory, { actor, signal }) {
      return await registerAgent(place, await readPackage(directory, signal), { actor, source: 'registered' })
    },
    validateAgent: (directory) => toValidation(() => readPackage(directory)),

    listWorkflows: () => records.read.listWorkflows(),
    async getWorkflow(name, version) {
      return (await findWorkflow(name, version)) ?? refuseUnknown('workflow', name, version)
    },
    async findWorkflow(name, version) {
      const record = await findWorkflow(name, version)
      return record === undefined
        ? undefined
        : { record, workflow: readWorkflow(record.text, { file: `${name}.yaml` }) }
    },
    registerWorkflow: (text, { actor }) => registerWorkflow(records, text, { actor, source: 'registered' }),
    validateWorkflow: (text, options = {}) =>
      toValidation(async () => readWorkflow(text, { ...options, catalogue: await buildCatalogue(records) })),
    catalogue: () => buildCatalogue(records),

    registerShipped: ({ signal }) => registerShipped(place, signal),
  }
}

function refuseUnknown(what: 'agent' | 'workflow', name: string, version: string | undefined): never {
  const wanted = version === undefined ? name : `${name} ${version}`
  throw new RegistryError(
    'not_found',
    `there is no ${what} ${wanted}: swarm ${what} list shows what there is`,
  )
}

async function toValidation(check: () => Promise<unknown>): Promise<Validation> {
  try {
    await check()
    return { isValid: true, problems: [] }
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    return { isValid: false, problems: error.problems.length > 0 ? error.problems : [error.message] }
  }
}
