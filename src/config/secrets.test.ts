import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import type { ModelConfig } from './config.ts'
import { loadSecrets, Secret } from './secrets.ts'

function model(name: string, key: ModelConfig['key']): ModelConfig {
  return { name, protocol: 'anthropic-messages', baseUrl: 'https://a', model: null, key }
}

test('a secret is never printed, serialised or compared into text; only reveal gives it', () => {
  const secret = new Secret('hunter2')
  const shown = [
    String(secret),
    `${secret}`,
    JSON.stringify({ secret }),
    inspect({ secret }, { depth: 9, showHidden: true }),
    Object.keys(secret).join(),
    JSON.stringify(structuredClone(Object.assign({}, secret))),
  ].join('\n')
  expect(shown).not.toContain('hunter2')
  expect(secret.reveal()).toBe('hunter2')
})

test('secrets are read from the environment and from files; all of them serialise to nothing', async () => {
  const directory = await makeDirectory()
  await writeFile(join(directory, 'key'), 'from-file\n', { mode: 0o600 })
  const secrets = await loadSecrets(
    {
      models: [
        model('one', { kind: 'env', variable: 'ONE_KEY' }),
        model('two', { kind: 'file', path: join(directory, 'key') }),
        model('free', null),
      ],
      forges: [
        {
          name: 'git',
          kind: 'git',
          username: null,
          credential: { kind: 'env', variable: 'FORGE' },
          hosts: ['git.example.org'],
        },
      ],
    },
    { ONE_KEY: 'from-env', FORGE: 'from-forge' },
  )
  expect(secrets.findModelKey('one')?.reveal()).toBe('from-env')
  expect(secrets.findModelKey('two')?.reveal()).toBe('from-file')
  expect(secrets.findModelKey('free')).toBeUndefined()
  expect(secrets.findForgeCredential('git')?.reveal()).toBe('from-forge')
  expect(secrets.missing).toEqual([])
  expect(`${JSON.stringify({ secrets })}${inspect(secrets, { depth: 9, showHidden: true })}`).not.toContain(
    'from-',
  )
})

test('a secret that cannot be had is listed with what to do, and the rest still loads', async () => {
  const directory = await makeDirectory()
  await writeFile(join(directory, 'open'), 'leaked')
  await chmod(join(directory, 'open'), 0o644)
  await writeFile(join(directory, 'empty'), '\n', { mode: 0o600 })
  const file = (name: string) => ({ kind: 'file', path: join(directory, name) }) as const
  const secrets = await loadSecrets(
    {
      models: [
        model('unset', { kind: 'env', variable: 'NOT_SET' }),
        model('open', file('open')),
        model('empty', file('empty')),
        model('absent', file('absent')),
        model('directory', { kind: 'file', path: directory }),
        model('good', { kind: 'env', variable: 'GOOD' }),
      ],
      forges: [],
    },
    { GOOD: 'yes' },
  )
  expect(secrets.findModelKey('good')?.reveal()).toBe('yes')
  expect(secrets.findModelKey('open')).toBeUndefined()
  const problems = Object.fromEntries(secrets.missing.map(({ setting, problem }) => [setting, problem]))
  expect(problems['models.unset.key']).toContain('export it before starting the daemon')
  expect(problems['models.open.key']).toContain('run chmod 600')
  expect(problems['models.empty.key']).toContain('is empty')
  expect(problems['models.absent.key']).toContain('ENOENT')
  expect(problems['models.directory.key']).toContain('not a regular file')
  expect(JSON.stringify(problems)).not.toContain('leaked')
})

async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'swarm-secrets-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}
