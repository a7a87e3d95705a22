/** Longer texts are not compared: the table below grows with the square of their length. */
const COMPARED_CHARS_MAX = 64

/** `did you mean "needs"?` when one of the known words is close, else the list of known words. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  const nearest = findNearest(word, known)
  if (nearest !== undefined) return `did you mean "${nearest}"?`
  if (known.length === 0) return undefined
  const shown = known.slice(0, 20).join(', ')
  return `known: ${shown}${known.length > 20 ? ', …' : ''}`
}

/** The known word that a typing mistake turns into this one, or `undefined` when none is close. */
export function findNearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > COMPARED_CHARS_MAX) return undefined
  const plain = simplify(word)
  const distanceMax = Math.max(1, Math.floor(plain.length / 3))
  let nearest: string | undefined
  let nearestDistance = distanceMax + 1
  for (const candidate of known) {
    if (candidate.length > COMPARED_CHARS_MAX) continue
    const distance = editDistance(plain, simplify(candidate))
    // One letter is a mistyped other letter only by chance.
    const isAlike = distance < Math.max(plain.length, candidate.length)
    if (isAlike && distance < nearestDistance) {
      nearest = candidate
      nearestDistance = distance
    }
  }
  return nearest
}

/** `forEach`, `for_each` and `for-each` are one word to people. */
function simplify(word: string): string {
  return word.toLowerCase().replaceAll(/[-_ ]/g, '')
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
function editDistance(from: string, to: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1)
      let best = Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1)
      const isSwap =
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (isSwap) best = Math.min(best, (beforePrevious[column - 2] ?? 0) + 1)
      current.push(best)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[to.length] ?? 0
}
