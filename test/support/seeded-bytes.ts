/**
 * Bytes that look random and are the same for the same seed (the mulberry32 generator). Not for secrets.
 * @returns a function that draws the next so many bytes
 */
export function createSeededBytes(seed: number): (byteCount: number) => Uint8Array {
  let state = seed >>> 0
  const draw = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return (byteCount) => Uint8Array.from({ length: byteCount }, () => draw() & 0xff)
}
