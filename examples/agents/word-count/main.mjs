// Called as: node main.mjs input.json output.json
import { readFileSync, writeFileSync } from 'node:fs'

const [, , inputPath, outputPath] = process.argv
const { inputs, ticket } = JSON.parse(readFileSync(inputPath, 'utf8'))
const words = `${ticket.title} ${ticket.body}`.split(/\s+/).filter(Boolean)
const longest = words.reduce((long, word) => (word.length > long.length ? word : long), '')

console.log(`counted ${words.length} words`)
writeFileSync(outputPath, JSON.stringify({ words: inputs['longest-only'] ? 1 : words.length, longest }))
