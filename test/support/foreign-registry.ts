import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

type Value = string | number | bigint | null | Uint8Array
type Row = Readonly<Record<string, Value>>

/** The columns that the import looks for, besides one that it does not know. */
const TABLES: Readonly<Record<string, string>> = {
  agents:
    'create table agents (id integer primary key, name text, version, path text, description text, runtime text, capabilities text)',
  workflows:
    'create table workflows (id integer primary key, name text, version, description text, steps text)',
}

export type ForeignRegistryOptions = {
  readonly agents?: readonly Row[]
  readonly workflows?: readonly Row[]
  /** Statements instead of the usual tables, each with a semicolon */
  readonly schema?: string
}

/** A registry as another program would have written it. */
export async function writeForeignRegistry(
  path: string,
  { agents = [], workflows = [], schema = `${TABLES.agents};${TABLES.workflows};` }: ForeignRegistryOptions,
): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  const database = new DatabaseSync(path)
  database.exec(schema)
  for (const row of agents) insert(database, 'agents', row)
  for (const row of workflows) insert(database, 'workflows', row)
  database.close()
  return path
}

function insert(database: DatabaseSync, table: string, row: Row): void {
  const columns = Object.keys(row)
  const marks = columns.map(() => '?').join(', ')
  database
    .prepare(`insert into ${table} (${columns.join(', ')}) values (${marks})`)
    .run(...Object.values(row))
}

/** Writes files below a directory, which is made. */
export async function writeFiles(
  directory: string,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), content)
  }
  return directory
}

/** An agent of the other registry: counts the words of the ticket's title. */
export const COUNTER = {
  'main.py': `import json, sys
given = json.load(open(sys.argv[1]))
json.dump({"words": len(given["ticket"]["title"].split())}, open(sys.argv[2], "w"))
`,
}
