/** What the model may do. Every call ends in a bounded text; a mistake of the model's is told to it, not thrown. */
import type { Tool, ToolCall, ToolResult } from './conversation.ts'
import type { Check } from './input.ts'
import { report } from './report.ts'
import { type CheckResult, runCheck } from './run-check.ts'
import { openWorkspace, type Workspace, WorkspaceRefusal } from './workspace.ts'

export type Toolbox = {
  readonly tools: readonly Tool[]
  perform(call: ToolCall): Promise<ToolResult>
  /** Files written, sorted */
  changedFiles(): readonly string[]
  /** The last result of each check that was run */
  checkResults(): readonly { readonly name: string; readonly isPassed: boolean }[]
}

const RESULT_CHARS_MAX = 64_000
const LISTED_MAX = 1_000
const SEARCHED_FILES_MAX = 20_000
const MATCHES_MAX = 100
const LINE_CHARS_MAX = 400
const READ_LINES_MAX = 2_000

export function createToolbox(options: {
  readonly workspace: string
  readonly checks: readonly Check[]
}): Toolbox {
  const workspace = openWorkspace(options.workspace)
  const changed = new Set<string>()
  const results = new Map<string, boolean>()
  const write = async (path: string, content: string) => {
    await workspace.write(path, content)
    changed.add(path)
  }
  const handlers: Readonly<Record<string, (input: Input) => Promise<string>>> = {
    list_files: (input) => listFiles(workspace, input.optionalText('path') ?? '.'),
    read_file: (input) => readFile(workspace, input),
    search: (input) => search(workspace, input),
    edit_file: (input) => editFile(workspace, input, write),
    async write_file(input) {
      const path = input.text('path')
      const content = input.text('content')
      await write(path, content)
      return `wrote ${path}, ${content.length} characters`
    },
    run_checks: (input) => runChecks(options, input, results),
  }

  return {
    tools: TOOLS,
    changedFiles: () => [...changed].sort(),
    checkResults: () => [...results].map(([name, isPassed]) => ({ name, isPassed })),
    async perform(call) {
      const answer = (content: string, isError: boolean) => {
        report({
          type: 'tool',
          tool: call.tool,
          text: `${isError ? 'failed: ' : ''}${content.split('\n')[0] ?? ''}`,
        })
        return { callId: call.id, content: bound(content), isError }
      }
      const handler = Object.hasOwn(handlers, call.tool) ? handlers[call.tool] : undefined
      if (handler === undefined) {
        return answer(
          `there is no tool ${call.tool}; there are ${TOOLS.map((tool) => tool.name).join(', ')}`,
          true,
        )
      }
      if (call.input === null) return answer('the arguments are not a JSON object', true)
      try {
        return answer(await handler(toInput(call.input)), false)
      } catch (error) {
        const isKnown = error instanceof WorkspaceRefusal
        return answer(
          isKnown ? error.message : `failed: ${error instanceof Error ? error.message : error}`,
          true,
        )
      }
    },
  }
}

type Input = {
  text(name: string): string
  optionalText(name: string): string | undefined
  number(name: string, otherwise: number): number
  flag(name: string): boolean
}

function toInput(values: Record<string, unknown>): Input {
  const optionalText = (name: string) => {
    const value = values[name]
    if (value !== undefined && value !== null && typeof value !== 'string') {
      throw new WorkspaceRefusal(`${name} must be a text`)
    }
    return value ?? undefined
  }
  return {
    optionalText,
    text(name) {
      const value = optionalText(name)
      if (value === undefined) throw new WorkspaceRefusal(`${name} is missing`)
      return value
    },
    number(name, otherwise) {
      const value = values[name]
      return typeof value === 'number' && Number.isFinite(value) ? Math.floor(value) : otherwise
    },
    flag: (name) => values[name] === true,
  }
}

async function listFiles(workspace: Workspace, path: string): Promise<string> {
  const { paths, isCut } = await workspace.list(path, LISTED_MAX)
  return `${paths.join('\n')}${isCut ? `\n[more than ${LISTED_MAX} files: list a directory]` : ''}`
}

async function readFile(workspace: Workspace, input: Input): Promise<string> {
  const lines = (await workspace.read(input.text('path'))).split('\n')
  const from = Math.max(1, input.number('from_line', 1))
  const count = Math.min(READ_LINES_MAX, Math.max(1, input.number('line_count', READ_LINES_MAX)))
  const shown = lines.slice(from - 1, from - 1 + count)
  const rest = lines.length - (from - 1 + shown.length)
  return `${shown.join('\n')}${rest > 0 ? `\n[${rest} more lines: read on from_line ${from + shown.length}]` : ''}`
}

/** Finds a text, not a pattern: a pattern of the model's could run for ever. */
async function search(workspace: Workspace, input: Input): Promise<string> {
  const needle = input.text('text')
  if (needle === '') throw new WorkspaceRefusal('text is empty')
  const fold = input.flag('ignore_case') ? (text: string) => text.toLowerCase() : (text: string) => text
  const { paths } = await workspace.list(input.optionalText('path') ?? '.', SEARCHED_FILES_MAX)
  const matches: string[] = []
  for (const path of paths) {
    const content = await workspace.read(path).catch(() => '')
    if (!fold(content).includes(fold(needle))) continue
    for (const [index, line] of content.split('\n').entries()) {
      if (!fold(line).includes(fold(needle))) continue
      matches.push(`${path}:${index + 1}: ${line.slice(0, LINE_CHARS_MAX)}`)
      if (matches.length >= MATCHES_MAX) return `${matches.join('\n')}\n[more matches: search a directory]`
    }
  }
  return matches.length === 0 ? 'nothing found' : matches.join('\n')
}

async function editFile(
  workspace: Workspace,
  input: Input,
  write: (path: string, content: string) => Promise<void>,
): Promise<string> {
  const path = input.text('path')
  const oldText = input.text('old_text')
  const newText = input.text('new_text')
  if (oldText === '') throw new WorkspaceRefusal('old_text is empty; use write_file for a new file')
  const content = await workspace.read(path)
  const count = content.split(oldText).length - 1
  if (count === 0)
    throw new WorkspaceRefusal(`old_text does not occur in ${path}; read the file and copy it exactly`)
  if (count > 1 && !input.flag('replace_all')) {
    throw new WorkspaceRefusal(`old_text occurs ${count} times in ${path}; give more of its surroundings`)
  }
  await write(path, content.split(oldText).join(newText))
  return `replaced ${count} place${count === 1 ? '' : 's'} in ${path}`
}

async function runChecks(
  { workspace, checks }: { readonly workspace: string; readonly checks: readonly Check[] },
  input: Input,
  results: Map<string, boolean>,
): Promise<string> {
  const name = input.optionalText('name')
  const chosen = name === undefined ? checks : checks.filter((check) => check.name === name)
  if (chosen.length === 0) {
    return name === undefined
      ? 'this project declares no checks'
      : `there is no check ${name}; there are ${checks.map((check) => check.name).join(', ')}`
  }
  const texts: string[] = []
  for (const check of chosen) {
    const result = await runCheck(check, workspace)
    results.set(check.name, result.isPassed)
    texts.push(toCheckText(check, result))
  }
  return texts.join('\n\n')
}

function toCheckText(check: Check, result: CheckResult): string {
  return `${check.name}: ${result.isPassed ? 'passed' : `failed (${result.why})`}\n${result.output}`
}

function bound(text: string): string {
  if (text.length <= RESULT_CHARS_MAX) return text
  const half = RESULT_CHARS_MAX / 2
  return `${text.slice(0, half)}\n[… ${text.length - RESULT_CHARS_MAX} characters left out …]\n${text.slice(-half)}`
}

const text = (description: string) => ({ type: 'string', description })
const shape = (properties: Record<string, unknown>, required: readonly string[]) => ({
  type: 'object',
  properties,
  required,
})

const TOOLS: readonly Tool[] = [
  {
    name: 'list_files',
    description: 'Lists the files of the repository, or of one directory, with their relative paths.',
    input: shape({ path: text('Directory; left out: the whole repository') }, []),
  },
  {
    name: 'read_file',
    description: 'Reads a text file.',
    input: shape(
      {
        path: text('Relative path'),
        from_line: { type: 'integer', description: 'First line, counted from 1' },
        line_count: { type: 'integer', description: `Number of lines, up to ${READ_LINES_MAX}` },
      },
      ['path'],
    ),
  },
  {
    name: 'search',
    description: 'Finds the lines that contain a text, exactly as written (no pattern).',
    input: shape(
      {
        text: text('What to find'),
        path: text('Directory to search in'),
        ignore_case: { type: 'boolean' },
      },
      ['text'],
    ),
  },
  {
    name: 'edit_file',
    description: 'Replaces a piece of a file. old_text must occur exactly once, unless replace_all is true.',
    input: shape(
      {
        path: text('Relative path'),
        old_text: text('The piece as it is, with its whitespace'),
        new_text: text('What to put in its place'),
        replace_all: { type: 'boolean' },
      },
      ['path', 'old_text', 'new_text'],
    ),
  },
  {
    name: 'write_file',
    description: 'Writes a whole file; makes it and its directories when absent.',
    input: shape({ path: text('Relative path'), content: text('The whole content') }, ['path', 'content']),
  },
  {
    name: 'run_checks',
    description: "Runs the project's declared checks, all or one, and gives their results and output.",
    input: shape({ name: text('One check; left out: all') }, []),
  },
  {
    name: 'finish',
    description: 'Ends the work. Call it once, when everything is done or cannot be done.',
    input: shape({ summary: text('What you did and why, for the reviewer') }, ['summary']),
  },
]
