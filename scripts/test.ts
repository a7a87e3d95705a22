/**
 * `npm test`: installs what the host lacks (as root, or with `--install` and sudo), then runs every test, the quick
 * ones first. The last line counts: `N passed, N failed, N skipped`. Skipped tests are listed with their reason.
 * Further arguments go to vitest.
 */
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { installRequirements } from '../src/cli/local/demo/install-requirements.ts'

type Result = { status: string; fullName: string; failureMessages?: string[]; meta?: { note?: string } }
type Report = { testResults: { name: string; status: string; message: string; assertionResults: Result[] }[] }

/** The server's programs are not in the path; the tests start servers of their own. */
const FIND_POSTGRES =
  "process.exitCode = require('node:fs').globSync('/usr/lib/postgresql/*/bin/initdb').length > 0 ? 0 : 1"

// Debian's package would make a server of its own and start it. Who may not write here gets that one, which harms nothing.
await mkdir('/etc/postgresql-common', { recursive: true })
  .then(() =>
    writeFile('/etc/postgresql-common/createcluster.conf', 'create_main_cluster = false\n', { flag: 'wx' }),
  )
  .catch(() => undefined)

const args = process.argv.slice(2).filter((argument) => argument !== '--install')
const isReady = await installRequirements({
  install: process.argv.includes('--install'),
  path: process.env.PATH ?? '',
  home: homedir(),
  signal: AbortSignal.timeout(15 * 60_000),
  more: [
    // The guides and an example agent use these two.
    { program: 'curl', probe: ['curl', '--version'], packageName: 'curl' },
    { program: 'jq', probe: ['jq', '--version'], packageName: 'jq' },
    // For an imported agent; a sandbox sees what lies in /usr.
    { program: 'python3', probe: ['/usr/bin/python3', '--version'], packageName: 'python3' },
    // Checks the unit that `swarm service install` writes, and speaks for the daemon under it.
    { program: 'systemd-analyze', probe: ['systemd-analyze', '--version'], packageName: 'systemd' },
    { program: 'PostgreSQL', probe: [process.execPath, '-e', FIND_POSTGRES], packageName: 'postgresql' },
  ],
  say: (text) => process.stderr.write(`${text}\n`),
})
if (!isReady) process.exit(1)

const folder = await mkdtemp(join(tmpdir(), 'swarm-test-'))
const reportPath = join(folder, 'report.json')
const code = await runVitest([
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${reportPath}`,
  ...args,
])
const report = await readReport()
await rm(folder, { recursive: true, force: true })
const results = report.testResults.flatMap((file) => file.assertionResults)
const count = (...statuses: string[]) => results.filter(({ status }) => statuses.includes(status)).length
const skipped = results.filter(
  ({ status }) => status === 'skipped' || status === 'pending' || status === 'todo',
)
for (const { fullName, meta } of skipped)
  process.stdout.write(`skipped: ${fullName}${meta?.note ? `: ${meta.note}` : ''}\n`)
// A file that does not load has no results of its own, and is a failure all the same.
const broken = report.testResults.filter(
  (file) => file.status === 'failed' && file.assertionResults.length === 0,
)
const failed = count('failed') + broken.length + (code !== 0 && results.length === 0 ? 1 : 0)
process.stdout.write(`\n${count('passed')} passed, ${failed} failed, ${skipped.length} skipped\n`)
process.exitCode = code === 0 && failed === 0 && count('passed') > 0 ? 0 : 1

function runVitest(argv: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn('vitest', argv, { stdio: 'inherit' })
    child.on('error', () => resolve(1))
    child.on('close', (exitCode) => resolve(exitCode ?? 1))
  })
}

async function readReport(): Promise<Report> {
  try {
    return JSON.parse(await readFile(reportPath, 'utf8')) as Report
  } catch {
    return { testResults: [] }
  }
}
