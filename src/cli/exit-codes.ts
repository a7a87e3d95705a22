/** What a command's exit code says; `swarm help exit-codes` prints this table. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  auth: 4,
  conflict: 5,
  waiting: 6,
  unreachable: 7,
  refused: 8,
  badNode: 78,
  timeout: 124,
  interrupted: 130,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'done as asked',
  failed: 'it was tried and failed: a ticket that failed, a doctor that found something',
  usage: 'the command, an option or the configuration is wrong; nothing was done',
  notFound: 'the ticket, run, pull request … does not exist, or a prefix fits several',
  auth: 'no token, a wrong or expired one, or one without the scope',
  conflict: 'someone else was faster: already claimed, edited meanwhile, merge conflict',
  waiting: 'it waits for a person: an approval, an answer, a review',
  unreachable: 'no daemon answers at the socket or address',
  refused: 'a budget or a rule says no',
  badNode: 'this Node.js is too old',
  timeout: 'the time given with --timeout passed',
  interrupted: 'stopped by Ctrl-C',
}
