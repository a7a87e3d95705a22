import type { z } from 'zod'
import { findNearest } from '../domain/nearest-word.ts'
import type { ConfigProblem } from './config-error.ts'
import { listKnownKeys } from './settings-schema.ts'
import type { SettingPath } from './yaml-tree.ts'

type Issue = z.core.$ZodIssue
type Lookup = {
  where(path: SettingPath): string
  whereKey(path: SettingPath): string
}

/** What is wrong in words, where it stands and what to do. Never repeats a value: it may be a secret. */
export function describeIssue(issue: Issue, raw: unknown, lookup: Lookup): ConfigProblem[] {
  const path = issue.path as SettingPath
  const name = path.join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      where: lookup.whereKey([...path, key]),
      message: `unknown key "${key}"${name === '' ? '' : ` in ${name}`}`,
      hint: hintKey(key, listKnownKeys(path)),
    }))
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues[0]?.message ?? 'is not a valid name'
    return [{ where: lookup.whereKey(path), message: `${name}: ${message}`, hint: null }]
  }
  if (valueAt(raw, path) === undefined) {
    return [{ where: lookup.where(path.slice(0, -1)), message: `${name} is missing`, hint: null }]
  }
  return [
    {
      where: lookup.where(path),
      message: `${name === '' ? 'the file' : name} ${explain(issue)}`,
      hint: hintValue(issue, valueAt(raw, path)),
    },
  ]
}

function explain(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.message.startsWith('Invalid') ? `expects ${nameType(issue.expected)}` : issue.message
    case 'invalid_value':
      return `expects one of ${issue.values.join(', ')}`
    case 'too_small':
      return issue.origin === 'number' ? `must be at least ${issue.minimum}` : 'must not be empty'
    case 'too_big':
      return `must be at most ${issue.maximum}`
    default:
      return issue.message
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
}

function nameType(expected: string): string {
  return TYPE_NAMES[expected] ?? expected
}

function hintKey(key: string, known: readonly string[]): string | null {
  const nearest = findNearest(key, known)
  if (nearest !== undefined) return `did you mean "${nearest}"?`
  return known.length === 0 ? null : `known: ${known.join(', ')}`
}

function hintValue(issue: Issue, value: unknown): string | null {
  if (issue.code !== 'invalid_value' || typeof value !== 'string') return null
  const nearest = findNearest(value, issue.values.map(String))
  return nearest === undefined ? null : `did you mean "${nearest}"?`
}

function valueAt(raw: unknown, path: SettingPath): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string | number, unknown>)[step]
        : undefined,
    raw,
  )
}
