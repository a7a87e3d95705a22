import { type FileHandle, open } from 'node:fs/promises'
import type { Config, SecretReference } from './config.ts'

/** What a secret looks like wherever it is printed. */
const REDACTED = '[secret]'
const FILE_BYTES_MAX = 64 * 1024
const STORE_PASSWORD = 'store-password'

/** A secret that can be used but neither printed nor serialised: only `reveal()` gives it. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED
  }
}

/** Every secret of the daemon. Serialises to nothing. */
export class Secrets {
  readonly #byPath: ReadonlyMap<string, Secret>
  /** Configured but not to be had: the daemon starts, what needs them fails and says so */
  readonly missing: readonly MissingSecret[]

  constructor(byPath: ReadonlyMap<string, Secret>, missing: readonly MissingSecret[] = []) {
    this.#byPath = byPath
    this.missing = missing
  }

  /** Key of a model route, by the route's name. */
  findModelKey(modelName: string): Secret | undefined {
    return this.#byPath.get(`models.${modelName}.key`)
  }

  /** Password of a store in PostgreSQL. */
  findStorePassword(): Secret | undefined {
    return this.#byPath.get(STORE_PASSWORD)
  }

  /** Credential of a forge, by its name. */
  findForgeCredential(forgeName: string): Secret | undefined {
    return this.#byPath.get(`forges.${forgeName}.credential`)
  }

  toJSON(): string {
    return REDACTED
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED
  }
}

export type MissingSecret = {
  /** Place in the configuration: `models.default.key` */
  readonly setting: string
  /** What is wrong and what to do; never the secret */
  readonly problem: string
}

/** Reads every secret that the configuration refers to. A secret that cannot be had is listed in `missing`. */
export async function loadSecrets(
  config: Pick<Config, 'models' | 'forges'> & Partial<Pick<Config, 'store'>>,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Secrets> {
  const { store } = config
  const references = [
    { setting: STORE_PASSWORD, reference: store?.kind === 'postgres' ? store.password : null },
    ...config.models.map(({ name, key }) => ({ setting: `models.${name}.key`, reference: key })),
    ...config.forges.map(({ name, credential }) => ({
      setting: `forges.${name}.credential`,
      reference: credential,
    })),
  ]
  const found = new Map<string, Secret>()
  const missing: MissingSecret[] = []
  for (const { setting, reference } of references) {
    if (reference === null) continue
    const outcome = await readSecret(reference, environment)
    if (typeof outcome === 'string') missing.push({ setting, problem: outcome })
    else found.set(setting, outcome)
  }
  return new Secrets(found, missing)
}

/** The secret, or what is wrong in one sentence. */
async function readSecret(
  reference: SecretReference,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Secret | string> {
  if (reference.kind === 'env') {
    const value = environment[reference.variable]?.trim()
    if (value) return new Secret(value)
    return `the environment variable ${reference.variable} is not set: export it before starting the daemon`
  }
  return await readSecretFile(reference.path)
}

/** A file that others can read holds no secret, so it is refused. */
export async function readSecretFile(path: string): Promise<Secret | string> {
  let handle: FileHandle | undefined
  try {
    // Checked on the open file, so that what was checked is what is read.
    handle = await open(path, 'r')
    const found = await handle.stat()
    if (!found.isFile()) return `${path} is not a regular file`
    if ((found.mode & 0o077) !== 0) return `${path} is readable by others: run chmod 600 ${path}`
    if (found.size > FILE_BYTES_MAX) return `${path} is larger than ${FILE_BYTES_MAX} bytes`
    const value = (await handle.readFile('utf8')).trim()
    return value === '' ? `${path} is empty` : new Secret(value)
  } catch (error) {
    return `cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`
  } finally {
    await handle?.close()
  }
}
