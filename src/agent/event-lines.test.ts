import { expect, test } from 'vitest'
import { createEventReader, parseEventLine } from './event-lines.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

test('lines with the mark become events, all others are output, whatever pieces they come in', () => {
  const text =
    'building…\n::swarm::{"type":"milestone","text":"half – done"}\nmore\n::swarm::{"type":"turn","turn":2,"text":"x"}'
  const whole = createEventReader()
  const expected = [
    { kind: 'milestone', text: 'half – done' },
    { kind: 'turn', turn: 2, text: 'x' },
  ]
  expect([...whole.push(bytes(text)), ...whole.end()]).toEqual(expected)
  const byByte = createEventReader()
  const found = [...bytes(text)].flatMap((byte) => byByte.push(Uint8Array.of(byte)))
  expect([...found, ...byByte.end()]).toEqual(expected)
})

test.each([
  '::swarm::',
  '::swarm::{',
  '::swarm::null',
  '::swarm::[]',
  '::swarm::{"type":"unknown"}',
  '::swarm::{"type":"__proto__"}',
  ' ::swarm::{"type":"milestone","text":"not at the beginning"}',
  `::swarm::{"type":"milestone","text":"${'x'.repeat(20_000)}"}`,
])('%.60s is no event', (line) => {
  expect(parseEventLine(line)).toBeUndefined()
})

test('texts are plain and bounded, numbers are counts', () => {
  const text = `a\nb\u001b[31m\u202e${'x'.repeat(3_000)}`
  const event = parseEventLine(`::swarm::${JSON.stringify({ type: 'milestone', text })}`)
  expect(event?.kind === 'milestone' && event.text).toMatch(/^a b \[31m x{900,}…$/)
  const usage = { type: 'usage', model: { a: 1 }, inputTokens: -1, outputTokens: '7' }
  expect(parseEventLine(`::swarm::${JSON.stringify(usage)}`)).toEqual({
    kind: 'usage',
    model: '{"a":1}',
    inputTokens: 0,
    outputTokens: 0,
  })
})

test('a line without end, and events without end, cost no memory', () => {
  const reader = createEventReader()
  for (let i = 0; i < 200; i++) expect(reader.push(bytes('x'.repeat(100_000)))).toEqual([])
  expect(reader.push(bytes('\n::swarm::{"type":"milestone","text":"after"}\n'))).toEqual([
    { kind: 'milestone', text: 'after' },
  ])
  const many = bytes('::swarm::{"type":"milestone","text":"again"}\n'.repeat(12_000))
  expect(reader.push(many)).toHaveLength(9_999)
  expect(reader.push(many)).toEqual([])
})
