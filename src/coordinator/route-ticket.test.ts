import { expect, test } from 'vitest'
import type { Project } from '../domain/project.ts'
import type { Ticket } from '../domain/ticket.ts'
import { type RouteRule, routeTicket } from './route-ticket.ts'

const project = { key: 'WEB', defaultWorkflow: null } as Project
const ticket = {
  key: 'WEB-1',
  title: 'Login breaks',
  type: 'bug',
  labels: ['ui', 'urgent'],
  workflow: null,
  agent: null,
  inputs: {},
} as unknown as Ticket
const when = { types: null, labels: null, projects: null, titleContains: null }
const rule = (name: string, conditions: Partial<RouteRule['when']>): RouteRule => ({
  name,
  when: { ...when, ...conditions },
  workflow: name,
  agent: null,
  inputs: {},
})

function route(
  rules: readonly RouteRule[],
  changes: Partial<Ticket> = {},
  defaults: { project?: string; repository?: string } = {},
) {
  return routeTicket({
    ticket: { ...ticket, ...changes },
    project: { ...project, defaultWorkflow: defaults.project ?? null },
    rules,
    repositoryDefault: defaults.repository ?? null,
  })
}

test('the workflow that the ticket names wins over every rule', () => {
  const { result } = route([rule('all', {})], { workflow: 'linear@1' })
  expect(result).toMatchObject({ kind: 'routed', workflow: 'linear@1', rule: 'ticket' })
})

test('the first rule that matches wins', () => {
  const rules = [rule('features', { types: ['feature'] }), rule('bugs', { types: ['bug'] }), rule('all', {})]
  expect(route(rules).result).toMatchObject({ workflow: 'bugs', rule: 'rule bugs' })
})

test('every condition that is given must hold', () => {
  const rules = [rule('both', { labels: ['ui', 'backend'] }), rule('title', { titleContains: 'LOGIN' })]
  expect(route(rules).result).toMatchObject({ workflow: 'title' })
})

test('the defaults come last, the project’s before the repository’s', () => {
  expect(route([], {}, { project: 'p', repository: 'r' }).result).toMatchObject({ workflow: 'p' })
  expect(route([], {}, { repository: 'r' }).result).toMatchObject({
    workflow: 'r',
    rule: 'repository default',
  })
})

test('the ticket’s own agent and inputs win over a rule’s', () => {
  const bugs = { ...rule('bugs', {}), agent: 'coder', inputs: { depth: 1, keep: true } }
  const { result } = route([bugs], { agent: 'mine', inputs: { depth: 2 } })
  expect(result).toMatchObject({ agent: 'mine', inputs: { depth: 2, keep: true } })
})

test('U6: what cannot be routed fails at once with its reason', () => {
  const { result, rules } = route([rule('features', { types: ['feature'] })])
  expect(result).toMatchObject({
    kind: 'unroutable',
    detail: expect.stringContaining('swarm ticket edit WEB-1'),
  })
  expect(rules.every(({ isMatch, why }) => !isMatch && why.length > 0)).toBe(true)
})
