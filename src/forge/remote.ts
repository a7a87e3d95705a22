import { stat } from 'node:fs/promises'
import { type ForgeCredentials, ForgeError, type ForgeProject } from './contract.ts'
import { parseRepositoryUrl } from './repository-url.ts'

/** How to reach a project's repository with git: the address, and what only that process may know. */
export type Remote = {
  readonly url: string
  /** Options of fetch and ls-remote */
  readonly fetchOptions: readonly string[]
  /** Options of push */
  readonly pushOptions: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/**
 * The other end of a path is a git process of ours too, in a repository whose settings we did not write: its
 * hooks, its monitor and its gc stay off, and a branch that is checked out is never changed under a person's hands.
 */
const SEALED = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.alternateRefsCommand=:',
  'gc.auto=0',
  'maintenance.auto=false',
  'receive.autogc=false',
  'receive.denyCurrentBranch=refuse',
  'receive.denyDeleteCurrent=refuse',
]
  .map((setting) => `-c ${setting}`)
  .join(' ')

/**
 * Checks the address and fetches the credential. The secret goes into the environment of git processes that talk
 * to this remote, as a header for this URL only; never into an argument, the URL or a file.
 * @throws ForgeError `repository_refused`, `repository_missing` (a path), `credential_refused`
 */
export async function openRemote(
  project: ForgeProject,
  credentials: ForgeCredentials | undefined,
): Promise<Remote> {
  const address = parseRepositoryUrl(project.repositoryUrl)
  if (address.kind === 'file') await assertDirectory(address.path)
  return await describeRemote(project, credentials)
}

/** The same without looking whether it is there. */
export async function describeRemote(
  project: ForgeProject,
  credentials: ForgeCredentials | undefined,
): Promise<Remote> {
  const address = parseRepositoryUrl(project.repositoryUrl)
  switch (address.kind) {
    case 'file': {
      return {
        url: address.path,
        fetchOptions: [`--upload-pack=git ${SEALED} upload-pack`],
        pushOptions: [`--receive-pack=git ${SEALED} receive-pack`],
        env: { GIT_ALLOW_PROTOCOL: 'file' },
      }
    }
    case 'ssh':
      return { url: address.url, fetchOptions: [], pushOptions: [], env: { GIT_ALLOW_PROTOCOL: 'ssh' } }
    case 'http': {
      const login = await readLogin(project, credentials, new URL(address.url).host)
      const env = { GIT_ALLOW_PROTOCOL: address.protocol, ...toHeader(address.url, login) }
      return { url: address.url, fetchOptions: [], pushOptions: [], env }
    }
    default:
      return address satisfies never
  }
}

async function assertDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() !== true) {
    throw new ForgeError(
      'repository_missing',
      `there is no repository at ${JSON.stringify(path)}: check the project's repository address`,
    )
  }
}

async function readLogin(project: ForgeProject, credentials: ForgeCredentials | undefined, host: string) {
  if (project.credential === undefined) return undefined
  const login = await credentials?.find(project.credential)
  if (login === undefined) {
    throw new ForgeError(
      'credential_refused',
      `the project's credential ${JSON.stringify(project.credential)} is not among the configured secrets`,
    )
  }
  if (login.hosts !== undefined && !login.hosts.includes(host)) {
    throw new ForgeError(
      'credential_refused',
      `the credential ${JSON.stringify(project.credential)} is not for ${host}: it is never sent there`,
    )
  }
  return login
}

function toHeader(url: string, login: { readonly username: string; readonly secret: string } | undefined) {
  if (login === undefined) return {}
  const basic = Buffer.from(`${login.username}:${login.secret}`, 'utf8').toString('base64')
  return {
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: `http.${url}.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}`,
  }
}
