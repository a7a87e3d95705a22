import { readFile } from 'node:fs/promises'
import type { ClientConfig } from 'pg'
import { StoreError } from '../errors.ts'
import { describeLocation, type PostgresLocation } from '../postgres-location.ts'

/** Which database, and how it is called in messages. */
export type Target = {
  readonly connection: Pick<ClientConfig, 'host' | 'port' | 'user' | 'database' | 'ssl' | 'password'>
  /** Host, port and database, never a password */
  readonly label: string
}

/** @param password left out: `PGPASSWORD` or the password file, as for every program of PostgreSQL */
export async function toTarget(location: PostgresLocation, password?: string): Promise<Target> {
  const { host, port, user, database } = location
  return {
    connection: {
      ...(host === null ? {} : { host }),
      ...(port === null ? {} : { port }),
      ...(user === null ? {} : { user }),
      ...(database === null ? {} : { database }),
      ...(password === undefined ? {} : { password }),
      ssl: await toSsl(location),
    },
    label: describeLocation(location),
  }
}

async function toSsl({ sslMode, sslRootCertificate }: PostgresLocation): Promise<ClientConfig['ssl']> {
  if (sslMode === 'disable') return false
  if (sslMode === 'require') return { rejectUnauthorized: false }
  if (sslRootCertificate === null) return true
  try {
    return { ca: await readFile(sslRootCertificate, 'utf8') }
  } catch (error) {
    throw new StoreError('unavailable', `cannot read ${sslRootCertificate}, the store's sslrootcert`, {
      cause: error,
    })
  }
}
