import { spawnSync } from 'node:child_process'

export type GitCall = {
  readonly gitDir?: string
  readonly workTree?: string
  readonly indexFile?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: Uint8Array | string
  /** Exit codes that are answers; default only 0 */
  readonly answers?: readonly number[]
  /** `ms`; default five minutes */
  readonly timeoutMs?: number
}

export type GitAnswer = { readonly code: number; readonly stdout: Buffer; readonly stderr: string }

/** What the workspace, the agent's home or the system's configuration says about git means nothing here. */
const SETTINGS = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.untrackedCache=false',
  'core.attributesFile=/dev/null',
  'core.excludesFile=/dev/null',
  'core.fileMode=true',
  'core.symlinks=true',
  'core.ignoreCase=false',
  'core.autocrlf=false',
  'core.safecrlf=false',
  'core.protectHFS=true',
  'core.protectNTFS=true',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=no',
  'commit.gpgSign=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'init.templateDir=',
  'advice.addEmbeddedRepo=false',
  'advice.detachedHead=false',
]

const TIMEOUT_MS = 300_000
const OUTPUT_BYTES_MAX = 128 * 1024 * 1024

/**
 * Runs git with an argument array and a sealed configuration.
 * @throws when it cannot be started, takes too long, or ends with something that is no answer
 */
export function runGit(home: string, args: readonly string[], call: GitCall = {}): GitAnswer {
  const settings = SETTINGS.flatMap((setting) => ['-c', setting])
  const places = [
    ...(call.gitDir === undefined ? [] : [`--git-dir=${call.gitDir}`]),
    ...(call.workTree === undefined ? [] : [`--work-tree=${call.workTree}`]),
  ]
  const result = spawnSync('git', [...settings, ...places, ...args], {
    cwd: call.workTree ?? home,
    env: {
      PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
      HOME: home,
      XDG_CONFIG_HOME: home,
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_SYSTEM: '/dev/null',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_ATTR_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_ALLOW_PROTOCOL: 'file',
      GIT_NO_REPLACE_OBJECTS: '1',
      GIT_NO_LAZY_FETCH: '1',
      GIT_OPTIONAL_LOCKS: '0',
      ...(call.indexFile === undefined ? {} : { GIT_INDEX_FILE: call.indexFile }),
      ...call.env,
    },
    input: call.input ?? '',
    timeout: call.timeoutMs ?? TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_BYTES_MAX,
  })
  const verb = args[0] ?? ''
  if (result.error !== undefined) throw new Error(`git ${verb} could not be run: ${result.error.message}`)
  const stderr = result.stderr.toString('utf8')
  const code = result.status ?? -1
  if (!(call.answers ?? [0]).includes(code)) {
    throw new Error(`git ${verb} ended with ${result.status ?? result.signal}: ${toOneLine(stderr)}`)
  }
  return { code, stdout: result.stdout, stderr }
}

export function firstLine(answer: GitAnswer): string {
  return answer.stdout.toString('utf8').split('\n', 1)[0] ?? ''
}

/** Fields of a `-z` output, as bytes. */
export function splitZero(output: Buffer): Buffer[] {
  const fields: Buffer[] = []
  for (let start = 0; start < output.length; ) {
    const end = output.indexOf(0, start)
    const stop = end === -1 ? output.length : end
    fields.push(output.subarray(start, stop))
    start = stop + 1
  }
  return fields
}

export function toOneLine(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f]+/g, ' ')
    .trim()
    .slice(0, 1_000)
}
