/** What a model was shown so far: all that a script may go by. */
export type Scene = {
  /** Number of replies given so far: 0 for the first */
  readonly turn: number
  /** The first message of the user */
  readonly firstMessage: string
  /** Calls so far with their results, in order */
  readonly results: readonly { readonly tool: string; readonly input: unknown; readonly content: string }[]
  /** Characters of the whole request, for the usage */
  readonly charCount: number
}

export type ScriptedCall = { readonly tool: string; readonly input: Readonly<Record<string, unknown>> }

/** One reply of a script, made from what was shown. */
export type ScriptedTurn = (scene: Scene) => {
  readonly say: string
  readonly calls?: readonly ScriptedCall[]
}

export type ModelScript = {
  /** Plays when this occurs in the first message of the user */
  readonly needle: string
  readonly turns: readonly ScriptedTurn[]
}

/** The reply that goes out, in no protocol's form yet. */
export type Play = {
  readonly say: string
  readonly calls: readonly (ScriptedCall & { readonly id: string })[]
  readonly inputTokens: number
  readonly outputTokens: number
}

const CHARS_PER_TOKEN = 4

/** The reply for this scene; without a script that fits, or after its last turn, it finishes. */
export function playScript(scripts: readonly ModelScript[], scene: Scene): Play {
  const script = scripts.find(({ needle }) => scene.firstMessage.includes(needle))
  const turn = script?.turns[scene.turn]
  const { say, calls = [] } =
    turn === undefined ? finish(script === undefined ? UNKNOWN : ENDED) : turn(scene)
  return {
    say,
    calls: calls.map((call, index) => ({ ...call, id: `call_${scene.turn + 1}_${index + 1}` })),
    inputTokens: Math.ceil(scene.charCount / CHARS_PER_TOKEN),
    outputTokens: Math.ceil((say.length + JSON.stringify(calls).length) / CHARS_PER_TOKEN),
  }
}

const UNKNOWN = 'This scripted model has no script for the task, so it changes nothing.'
const ENDED = 'The script has ended.'

function finish(summary: string): ReturnType<ScriptedTurn> {
  return { say: summary, calls: [{ tool: 'finish', input: { summary } }] }
}

/** What the last call of a tool has shown. */
export function lastShown(scene: Scene, tool: string): string {
  return scene.results.findLast((result) => result.tool === tool)?.content ?? ''
}

/**
 * A script that repairs one line: looks around, reads the file, replaces the line that it finds in what it was
 * shown, runs the checks, and says what they said.
 */
export function scriptLineRepair(repair: {
  readonly needle: string
  readonly path: string
  /** Occurs in the line to repair */
  readonly marker: string
  /** The repaired line, from the line as it is */
  readonly rewrite: (line: string) => string
  readonly summary: string
}): ModelScript {
  const { needle, path, marker, rewrite, summary } = repair
  return {
    needle,
    turns: [
      () => ({ say: 'I look at what there is.', calls: [{ tool: 'list_files', input: {} }] }),
      (scene) =>
        lastShown(scene, 'list_files').split('\n').includes(path)
          ? { say: `The ticket is about ${path}.`, calls: [{ tool: 'read_file', input: { path } }] }
          : finish(`There is no ${path} in this repository.`),
      (scene) => {
        const line = lastShown(scene, 'read_file')
          .split('\n')
          .find((shown) => shown.includes(marker))
        if (line === undefined) return finish(`${path} has no line with ${marker}.`)
        const input = { path, old_text: line, new_text: rewrite(line) }
        return { say: `This line is wrong: ${line.trim()}`, calls: [{ tool: 'edit_file', input }] }
      },
      () => ({ say: 'Now the checks.', calls: [{ tool: 'run_checks', input: {} }] }),
      (scene) => {
        const isFailed = /: failed \(/.test(lastShown(scene, 'run_checks'))
        return finish(isFailed ? `${summary} The checks do not pass yet.` : summary)
      },
    ],
  }
}

/** A script that writes one new file and runs the checks. */
export function scriptNewFile(file: {
  readonly needle: string
  readonly path: string
  readonly content: string
  readonly summary: string
}): ModelScript {
  const { needle, path, content, summary } = file
  return {
    needle,
    turns: [
      () => ({ say: 'I look at what there is.', calls: [{ tool: 'list_files', input: {} }] }),
      () => ({ say: `I write ${path}.`, calls: [{ tool: 'write_file', input: { path, content } }] }),
      () => ({ say: 'Now the checks.', calls: [{ tool: 'run_checks', input: {} }] }),
      () => finish(summary),
    ],
  }
}
