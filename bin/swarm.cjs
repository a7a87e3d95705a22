#!/usr/bin/env node
// Old Node must be able to read this file: ES5 only, and nothing newer is loaded before the check.
'use strict'

var version = process.versions.node.split('.')
var major = Number(version[0])
var minor = Number(version[1])

if (major > 22 || (major === 22 && minor >= 18)) {
  require('./start.cjs')
} else {
  process.stderr.write('swarm needs Node.js 22.18 or newer, this is ' + process.version + ': ')
  process.stderr.write('install one, or run `npx -p node@24 node ' + quote(__filename) + ' <command>`\n')
  process.exitCode = 78
}

/** As a shell reads it: the path may hold spaces. */
function quote(path) {
  return /^[\w./@-]+$/.test(path) ? path : ["'", path.replace(/'/g, "'\\''"), "'"].join('')
}
