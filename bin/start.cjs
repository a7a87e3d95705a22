'use strict'

const { existsSync } = require('node:fs')
const { join } = require('node:path')
const { pathToFileURL } = require('node:url')

// A checkout runs its source; the published package has none.
const source = join(__dirname, '..', 'src', 'cli', 'main.ts')
const built = join(__dirname, '..', 'dist', 'cli', 'main.js')

import(pathToFileURL(existsSync(source) || !existsSync(built) ? source : built).href)
  .then((program) => program.main())
  .catch((error) => {
    process.stderr.write(`swarm could not start: ${error?.stack ?? error}\n`)
    process.exitCode = 1
  })
