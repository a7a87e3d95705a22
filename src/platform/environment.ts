export type Environment = Readonly<Record<string, string | undefined>>

/** The environment of this process. Everything else is handed it. */
export function readEnvironment(): Environment {
  return process.env
}
