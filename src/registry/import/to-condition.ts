import type { Findings } from './findings.ts'
import { type StepNames, toOurPath } from './to-reference.ts'

const TOKEN =
  /(?<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?<template>\$?\{\{[^{}]*\}\}|\$\{[^{}]*\})|(?<operator>&&|\|\||===|!==|==|!=|<=|>=|!)|(?<path>[A-Za-z_][\w-]*(?:\.[\w-]+|\[[^\]]*\])+)|(?<word>[A-Za-z_][\w-]*(?:\(\))?)/gs

const OPERATORS: Readonly<Record<string, string>> = {
  '&&': ' and ',
  '||': ' or ',
  '===': '==',
  '!==': '!=',
  '!': 'not ',
}
const WORDS: Readonly<Record<string, string>> = { 'always()': 'always', AND: 'and', OR: 'or', NOT: 'not' }
const STATUSES: Readonly<Record<string, string>> = {
  completed: 'succeeded',
  complete: 'succeeded',
  success: 'succeeded',
  done: 'succeeded',
  error: 'failed',
  failure: 'failed',
  cancelled: 'canceled',
}

/** A condition in our words. What is left of another language is for the workflow's own check to refuse. */
export function toOurCondition(text: string, names: StepNames, findings: Findings): string {
  const converted = text.trim().replaceAll(TOKEN, (token, ...more) => {
    const groups: Partial<Record<string, string>> = more.at(-1)
    if (groups.operator !== undefined) return OPERATORS[token] ?? token
    if (groups.word !== undefined) return WORDS[token] ?? token
    if (groups.path !== undefined) return toOurPath(token, names, findings)
    const inner = groups.template ?? /^['"]\s*(\$?\{\{[^{}]*\}\}|\$\{[^{}]*\})\s*['"]$/s.exec(token)?.[1]
    if (inner === undefined) return token
    return toOurPath(inner.replace(/^\$?\{+/, '').replace(/\}+$/, ''), names, findings)
  })
  return converted.replaceAll(
    /(\.status\s{0,9}[!=]=\s{0,9})(['"])([a-z]{1,20})\2/g,
    (all, before: string, _quote, status: string) => {
      const ours = Object.hasOwn(STATUSES, status) ? STATUSES[status] : undefined
      if (ours === undefined) return all
      findings.changes.push(`condition: the status "${status}" is ours as "${ours}"`)
      return `${before}'${ours}'`
    },
  )
}
