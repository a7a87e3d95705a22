import type { CommandModule } from './program.ts'

/** Every command with its summary; its file is loaded when it is used. */
export type CommandSpec = { readonly name: string; readonly summary: string; readonly isHidden?: boolean } & (
  | { readonly load: () => Promise<CommandModule> }
  | { readonly commands: readonly CommandSpec[] }
)

const ticket: readonly CommandSpec[] = [
  { name: 'create', summary: 'create a ticket', load: () => import('./ticket/create.ts') },
  { name: 'list', summary: 'list tickets', load: () => import('./ticket/list.ts') },
  { name: 'show', summary: 'show a ticket', load: () => import('./ticket/show.ts') },
  { name: 'edit', summary: 'change a ticket', load: () => import('./ticket/edit.ts') },
  { name: 'cancel', summary: 'cancel a ticket and its run', load: () => import('./ticket/cancel.ts') },
  { name: 'retry', summary: 'put a failed or canceled ticket back', load: () => import('./ticket/retry.ts') },
  { name: 'explain', summary: 'say where a ticket goes, and why', load: () => import('./ticket/explain.ts') },
  { name: 'comment', summary: 'comment on a ticket', load: () => import('./ticket/comment.ts') },
  { name: 'claim', summary: 'claim a ticket as an outside agent', load: () => import('./ticket/claim.ts') },
  {
    name: 'dead',
    summary: 'tickets whose retries are used up',
    commands: [
      { name: 'list', summary: 'list the dead letters', load: () => import('./ticket/dead/list.ts') },
      { name: 'retry', summary: 'put dead letters back', load: () => import('./ticket/dead/retry.ts') },
    ],
  },
]

const run: readonly CommandSpec[] = [
  { name: 'list', summary: 'list runs', load: () => import('./run/list.ts') },
  { name: 'show', summary: 'show a run with its steps', load: () => import('./run/show.ts') },
  { name: 'logs', summary: 'print the output of a run', load: () => import('./run/logs.ts') },
  {
    name: 'watch',
    summary: 'show what happens in a run until it ends',
    load: () => import('./run/watch.ts'),
  },
  { name: 'cancel', summary: 'end a run', load: () => import('./run/cancel.ts') },
  { name: 'approve', summary: 'say yes to what a run asks', load: () => import('./run/approve.ts') },
  { name: 'reject', summary: 'say no to what a run asks', load: () => import('./run/reject.ts') },
  { name: 'answer', summary: 'answer the question of a run', load: () => import('./run/answer.ts') },
  {
    name: 'heartbeat',
    summary: 'renew the lease of a claimed run',
    load: () => import('./run/heartbeat.ts'),
  },
  {
    name: 'progress',
    summary: 'record a milestone of a claimed run',
    load: () => import('./run/progress.ts'),
  },
  { name: 'complete', summary: 'give the result of a claimed run', load: () => import('./run/complete.ts') },
  { name: 'fail', summary: 'give up a claimed run', load: () => import('./run/fail.ts') },
  { name: 'release', summary: 'give a claimed run back', load: () => import('./run/release.ts') },
]

const store: readonly CommandSpec[] = [
  {
    name: 'copy',
    summary: 'move the store to another database',
    load: () => import('./local/store/copy.ts'),
  },
]

const pr: readonly CommandSpec[] = [
  { name: 'list', summary: 'list pull requests', load: () => import('./pr/list.ts') },
  { name: 'show', summary: 'show a pull request', load: () => import('./pr/show.ts') },
  { name: 'diff', summary: 'print the diff of a pull request', load: () => import('./pr/diff.ts') },
  { name: 'approve', summary: 'approve a pull request', load: () => import('./pr/approve.ts') },
  {
    name: 'request-changes',
    summary: 'send a pull request back to the agent',
    load: () => import('./pr/request-changes.ts'),
  },
  { name: 'merge', summary: 'merge a pull request', load: () => import('./pr/merge.ts') },
  { name: 'close', summary: 'close a pull request without merging', load: () => import('./pr/close.ts') },
]

const agent: readonly CommandSpec[] = [
  { name: 'list', summary: 'list agents', load: () => import('./agent/list.ts') },
  { name: 'show', summary: 'show an agent', load: () => import('./agent/show.ts') },
  { name: 'validate', summary: 'check an agent package', load: () => import('./agent/validate.ts') },
  { name: 'register', summary: 'register an agent package', load: () => import('./agent/register.ts') },
]

const workflow: readonly CommandSpec[] = [
  { name: 'list', summary: 'list workflows', load: () => import('./workflow/list.ts') },
  { name: 'show', summary: 'print a workflow', load: () => import('./workflow/show.ts') },
  { name: 'validate', summary: 'check a workflow file', load: () => import('./local/workflow-validate.ts') },
  { name: 'register', summary: 'register a workflow file', load: () => import('./workflow/register.ts') },
]

const registry: readonly CommandSpec[] = [
  {
    name: 'import',
    summary: 'take over agents and workflows from another registry',
    load: () => import('./local/registry-import.ts'),
  },
]

const tracker: readonly CommandSpec[] = [
  {
    name: 'check',
    summary: 'show what would be mirrored, and what cannot be',
    load: () => import('./local/tracker-check.ts'),
  },
  { name: 'list', summary: 'list trackers and their problems', load: () => import('./tracker/list.ts') },
]

const token: readonly CommandSpec[] = [
  {
    name: 'create',
    summary: 'create a token; its secret is shown once',
    load: () => import('./token/create.ts'),
  },
  { name: 'list', summary: 'list tokens', load: () => import('./token/list.ts') },
  { name: 'revoke', summary: 'revoke a token at once', load: () => import('./token/revoke.ts') },
]

const project: readonly CommandSpec[] = [
  { name: 'create', summary: 'create a project', load: () => import('./project/create.ts') },
  { name: 'list', summary: 'list projects', load: () => import('./project/list.ts') },
  { name: 'show', summary: 'show a project', load: () => import('./project/show.ts') },
  { name: 'edit', summary: 'change a project', load: () => import('./project/edit.ts') },
]

const config: readonly CommandSpec[] = [
  {
    name: 'explain',
    summary: 'print each value and where it comes from',
    load: () => import('./local/config-explain.ts'),
  },
  {
    name: 'path',
    summary: 'print the path of the file that is read',
    load: () => import('./local/config-path.ts'),
  },
]

const service: readonly CommandSpec[] = [
  {
    name: 'install',
    summary: 'write the files for systemd or PM2',
    load: () => import('./local/service/install.ts'),
  },
  {
    name: 'status',
    summary: 'say whether the service is installed, current and healthy',
    load: () => import('./local/service/status.ts'),
  },
  {
    name: 'uninstall',
    summary: 'remove the files that install wrote',
    load: () => import('./local/service/uninstall.ts'),
  },
]

export const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'init',
    summary: 'write a configuration and make the state directory',
    load: () => import('./local/init.ts'),
  },
  { name: 'up', summary: 'start the daemon', load: () => import('./local/up.ts') },
  { name: 'down', summary: 'stop the daemon', load: () => import('./local/down.ts') },
  { name: 'status', summary: 'show what the daemon does', load: () => import('./status.ts') },
  {
    name: 'doctor',
    summary: 'check every prerequisite, with its fix',
    load: () => import('./local/doctor.ts'),
  },
  { name: 'gc', summary: 'remove what ended long ago, now', load: () => import('./gc.ts') },
  { name: 'backup', summary: 'copy everything to a new folder', load: () => import('./backup.ts') },
  {
    name: 'restore',
    summary: 'fill an empty state directory from a backup',
    load: () => import('./local/restore.ts'),
  },
  { name: 'store', summary: 'where tickets and runs are kept', commands: store },
  {
    name: 'demo',
    summary: 'show the whole path on a small repository',
    load: () => import('./local/demo.ts'),
  },
  { name: 'ticket', summary: 'tickets: the requests for work', commands: ticket },
  { name: 'run', summary: 'runs: what is done for a ticket', commands: run },
  {
    name: 'run-ticket',
    summary: 'run one ticket; with --wait the exit code tells',
    load: () => import('./run-ticket.ts'),
  },
  { name: 'logs', summary: 'print the output of a run or ticket', load: () => import('./run/logs.ts') },
  { name: 'events', summary: 'print events, or follow them', load: () => import('./events.ts') },
  { name: 'pr', summary: 'pull requests: what came out', commands: pr },
  { name: 'project', summary: 'projects: most often one repository each', commands: project },
  { name: 'agent', summary: 'agents: the programs that do the work', commands: agent },
  { name: 'workflow', summary: 'workflows: the steps and their order', commands: workflow },
  { name: 'registry', summary: 'agents and workflows of other programs', commands: registry },
  { name: 'tracker', summary: 'tickets databases of other programs', commands: tracker },
  { name: 'token', summary: 'tokens for the API', commands: token },
  { name: 'config', summary: 'the configuration of the daemon', commands: config },
  { name: 'service', summary: 'the daemon under systemd or PM2', commands: service },
  { name: 'completion', summary: 'print the completion for a shell', load: () => import('./completion.ts') },
  { name: 'help', summary: 'help on a command, exit codes or variables', load: () => import('./help.ts') },
]
