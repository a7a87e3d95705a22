/** Gives back what it was given. */
import { readFileSync, writeFileSync } from 'node:fs'

type Input = { inputs: { message?: string; data?: unknown }; ticket: { key: string } }

const [, , inputPath = 'input.json', outputPath = 'output.json'] = process.argv
const { inputs, ticket } = JSON.parse(readFileSync(inputPath, 'utf8')) as Input

process.stdout.write(`${inputs.message ?? ''}\n`)
writeFileSync(
  outputPath,
  JSON.stringify({ message: inputs.message ?? '', data: inputs.data, ticket: ticket.key }),
)
