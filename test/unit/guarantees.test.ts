import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const root = new URL('../../', import.meta.url)
const page = readFileSync(new URL('docs/operations/guarantees.md', root), 'utf8')

const rows = page.split('\n').flatMap((line) => {
  const [, id, promise, proofs] = /^\| ([UP]\d+) \| (.+?) \| (.+) \|$/.exec(line) ?? []
  if (id === undefined || promise === undefined || proofs === undefined) return []
  return [{ id, promise, proofs: proofs.split('<br>') }]
})

/** Promises that this version keeps; a row of the page that is not here is a promise kept beside them. */
const PROMISED = [
  'U1 U2 U3 U4 U5 U6 U7 U8 U9 U10 U11 U12 U13 U14 U15 U16 U17 U18 U20 U22 U23',
  'P1 P2 P3 P4 P5 P7 P8 P9 P10 P11 P13 P14 P15 P17 P18 P19 P20',
].flatMap((line) => line.split(' '))

test('every promise of this version has a row', () => {
  expect(PROMISED.filter((id) => !rows.some((row) => row.id === id))).toEqual([])
})

test.each(rows)('$id names tests that exist: $promise', ({ id, proofs }) => {
  expect(proofs.length).toBeGreaterThan(0)
  for (const proof of proofs) {
    const [, file, name] = /^`([^`]+)`: (.+)$/.exec(proof) ?? []
    expect(file, `a file in ${proof}`).toBeDefined()
    const path = new URL(file ?? '', root)
    expect(existsSync(path), `${file} exists`).toBe(true)
    expect(readFileSync(path, 'utf8'), `${file} has ${id}: ${name}`).toContain(`${id}: ${name}`)
  }
})

const badInputs = page
  .slice(page.indexOf('## Bad input'))
  .split('\n')
  .flatMap((line) => {
    const [, what, proofs] = /^\| (.+?) \| (`.+) \|$/.exec(line) ?? []
    return what === undefined || proofs === undefined ? [] : [{ what, proofs: proofs.split('<br>') }]
  })

test('bad input has its table', () => {
  expect(badInputs.length).toBeGreaterThan(10)
})

test.each(badInputs)('bad input names tests that exist: $what', ({ proofs }) => {
  for (const proof of proofs) {
    const [, file, name] = /^`([^`]+)`: (.+)$/.exec(proof) ?? []
    expect(readFileSync(new URL(file ?? '', root), 'utf8'), `${file} has ${name}`).toContain(`${name}'`)
  }
})
