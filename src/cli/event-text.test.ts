import pc from 'picocolors'
import { expect, test } from 'vitest'
import { formatMilestone, type SwarmEvent } from './event-text.ts'

function toLine(type: string, data: SwarmEvent['data']): string {
  const ids = { ticketId: null, runId: null, stepInstanceId: null, attempt: null }
  const event: SwarmEvent = { seq: 1, at: '2026-01-02T03:04:05.000Z', type, actor: 'system', ...ids, data }
  return formatMilestone(event, pc.createColors(false)).replace(/^\S+ /, '')
}

test('what an agent tells is shown, not only that it told something', () => {
  expect(toLine('agent.milestone', { text: 'half of the files\u001b[2J' })).toBe(
    'agent.milestone half of the files\\x1b[2J',
  )
})

test('a refusal of the gateway says where to and why', () => {
  const data = { via: 'http', method: 'GET', host: 'example.org', port: 443, denied: 'host_not_allowed' }
  expect(toLine('gateway.refused', data)).toBe('gateway.refused http · example.org · host_not_allowed')
})

test('an identifier of our own bookkeeping is left out', () => {
  const subject = 'eff_01m81h3f8daq8kb2b84pjb04xa'
  expect(toLine('wait.opened', { kind: 'effect', subject })).toBe('wait.opened effect')
  expect(toLine('wait.opened', { kind: 'approval', subject: 'Deploy it?' })).toBe(
    'wait.opened approval · Deploy it?',
  )
})

test('a long text is cut where it can be seen', () => {
  expect(toLine('run.failed', { detail: 'x'.repeat(200) })).toBe(`run.failed ${'x'.repeat(200)}`)
  expect(toLine('run.failed', { detail: 'x'.repeat(201) })).toBe(`run.failed ${'x'.repeat(200)}…`)
})
