/**
 * A small coding agent: prompt, then turns of a model with tools until it says that it is finished. It holds no
 * credential but the run token, and reaches nothing but the gateway's model routes.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { CoderFailure } from './coder-failure.ts'
import { converse } from './converse.ts'
import type { CoderInput } from './input.ts'
import { createModelClient } from './model-client.ts'
import { toFirstMessage, toSystemPrompt } from './prompt.ts'
import { report } from './report.ts'
import { createToolbox } from './toolbox.ts'

const [, , inputPath = 'input.json', outputPath = 'output.json'] = process.argv

try {
  const input = JSON.parse(readFileSync(inputPath, 'utf8')) as CoderInput
  writeFileSync(outputPath, JSON.stringify(await main(input)))
} catch (error) {
  const failure = CoderFailure.from(error)
  report({
    type: 'failure',
    reason: failure.reason,
    detail: failure.message,
    ...(failure.retryAfterMs === null ? {} : { retryAfterMs: failure.retryAfterMs }),
  })
  process.exitCode = 1
}

async function main(input: CoderInput): Promise<unknown> {
  // The environment goes first: only there are the paths right in every sandbox.
  const workspace = process.env.SWARM_WORKSPACE ?? input.workspace
  const promptPath = process.env.SWARM_PROMPT_FILE ?? input.promptPath
  if (workspace === null) throw new CoderFailure('input_invalid', 'coder needs a repository to work on')
  const model = await createModelClient({
    gateway: process.env.SWARM_GATEWAY_URL ?? 'http://127.0.0.1:3128',
    token: process.env.SWARM_RUN_TOKEN ?? '',
    model: input.inputs.model ?? null,
    replyTokensMax: input.inputs['reply-tokens-max'] ?? 8_192,
  })
  const prompt = promptPath === null ? null : readFileSync(promptPath, 'utf8')
  const toolbox = createToolbox({ workspace, checks: input.checks })
  const result = await converse({
    model,
    toolbox,
    system: toSystemPrompt(input.checks),
    firstMessage: toFirstMessage(input, prompt),
    turnCountMax: input.inputs['turns-max'] ?? 40,
  })
  return { ...result, changedFiles: toolbox.changedFiles(), checks: toolbox.checkResults() }
}
