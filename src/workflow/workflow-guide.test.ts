import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseCondition } from './condition.ts'
import { parseWorkflow } from './parse-workflow.ts'
import { ROOTS } from './reference.ts'
import { ON_FAILURE, STEP_KINDS } from './workflow.ts'
import { formatWorkflowError } from './workflow-error.ts'

const GUIDE = readFileSync(new URL('../../docs/guides/workflow-language.md', import.meta.url), 'utf8')
const BLOCKS = [...GUIDE.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
  language,
  text,
}))

test('the guide has examples of each sort', () => {
  const languages = new Set(BLOCKS.map(({ language }) => language))
  expect([...languages].sort()).toEqual(['condition', 'text', 'yaml', 'yaml invalid'])
})

describe('every example of the guide is valid', () => {
  test.each(BLOCKS.filter(({ language }) => language === 'yaml').map(({ text }) => text))('%s', (text) => {
    const isWhole = text.startsWith('name:')
    const parsed = parseWorkflow(isWhole ? text : `name: example\nversion: 1\nsteps:\n${text}`)
    expect(parsed.ok ? [] : parsed.errors.map(formatWorkflowError)).toEqual([])
  })

  const conditions = BLOCKS.filter(({ language }) => language === 'condition').flatMap(({ text }) =>
    text.trim().split('\n'),
  )
  test.each(conditions)('condition %s', (condition) => {
    expect(parseCondition(condition)).toMatchObject({ ok: true })
  })
})

describe('every error that the guide shows is the one that is given', () => {
  const invalid = BLOCKS.flatMap(({ language, text }, index) => {
    const shown = BLOCKS[index + 1]
    return language === 'yaml invalid' && shown?.language === 'text'
      ? [{ text, shown: shown.text.trim() }]
      : []
  })
  test.each(invalid)('$shown', ({ text, shown }) => {
    const parsed = parseWorkflow(text, { file: 'broken.yaml' })
    expect(parsed.ok ? '' : parsed.errors.map(formatWorkflowError).join('\n')).toBe(shown)
  })
})

test('the guide speaks of every kind, every root of references and every on-failure', () => {
  for (const kind of STEP_KINDS) expect(GUIDE).toContain(`### \`${kind}\``)
  for (const root of ROOTS) expect(GUIDE).toContain(`\${${root}`)
  for (const onFailure of ON_FAILURE) expect(GUIDE).toContain(`| \`${onFailure}\` |`)
})
