/** One prerequisite, looked at. */
export type Check = {
  readonly name: string
  /** `warn`: the daemon starts, something will not work; `fail`: mend it first */
  readonly state: 'ok' | 'warn' | 'fail'
  readonly detail: string
  /** What to do about it, most often a command */
  readonly fix: string | null
}

export function ok(name: string, detail: string): Check {
  return { name, state: 'ok', detail, fix: null }
}

export function warn(name: string, detail: string, fix: string): Check {
  return { name, state: 'warn', detail, fix }
}

export function fail(name: string, detail: string, fix: string): Check {
  return { name, state: 'fail', detail, fix }
}
