'use strict'

const { existsSync } = require('node:fs')
const { enableCompileCache } = require('node:module')
const { isAbsolute, join } = require('node:path')
const { pathToFileURL } = require('node:url')

// A checkout runs its source; the published package has none.
const source = join(__dirname, '..', 'src', 'cli', 'main.ts')
const built = join(__dirname, '..', 'dist', 'cli', 'main.js')

keepCompiledCode()
hideExperimentalSqlite()

import(pathToFileURL(existsSync(source) || !existsSync(built) ? source : built).href)
  .then((program) => program.main())
  .catch((error) => {
    process.stderr.write(`swarm could not start: ${error?.stack ?? error}\n`)
    process.exitCode = 1
  })

/** Starts in half the time, the first start after a change excepted. A place that cannot be written is done without. */
function keepCompiledCode() {
  const { XDG_CACHE_HOME: cache = '', HOME: home = '' } = process.env
  // Never in a directory that others can write: what lies there is executed.
  if (isAbsolute(cache)) enableCompileCache(join(cache, 'swarm', 'compiled'))
  else if (isAbsolute(home)) enableCompileCache(join(home, '.cache', 'swarm', 'compiled'))
}

/** Every supported Node is tested with its SQLite; that one of them calls it experimental is nothing a user can act on. */
function hideExperimentalSqlite() {
  const { emitWarning } = process
  process.emitWarning = (warning, ...details) => {
    if (String(warning).startsWith('SQLite is an experimental feature')) return
    Reflect.apply(emitWarning, process, [warning, ...details])
  }
}
