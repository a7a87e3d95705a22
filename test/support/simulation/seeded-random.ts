import { createSeededBytes } from '../seeded-bytes.ts'

/** Chance that is the same for the same seed. */
export type SeededRandom = {
  /** From 0 to below 1 */
  number(): number
  /** A whole number from `min` to `max`, both included */
  integer(min: number, max: number): number
  /** Whether something of this probability happens */
  chance(probability: number): boolean
  pick<T>(items: readonly [T, ...T[]]): T
  bytes(byteCount: number): Uint8Array
}

export function createSeededRandom(seed: number): SeededRandom {
  const bytes = createSeededBytes(seed)
  const number = () => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes(4)
    return (((a * 256 + b) * 256 + c) * 256 + d) / 2 ** 32
  }
  const integer = (min: number, max: number) => min + Math.floor(number() * (max - min + 1))
  return {
    number,
    integer,
    chance: (probability) => number() < probability,
    pick: (items) => items[integer(0, items.length - 1)] ?? items[0],
    bytes,
  }
}
