const BLOCK_BYTES = 64 * 1024
/** At least so many blocks, so that dropping one never drops much of what is there */
const BLOCK_COUNT_MIN = 8

/**
 * The last bytes of a stream, addressed by their absolute offset. Memory grows with what is printed, up to
 * `bytesMax` rounded up to blocks; then the oldest block is dropped.
 */
export class OutputRing {
  readonly bytesMax: number
  readonly #blockBytes: number
  readonly #blocks: Buffer[] = []
  #start = 0
  #end = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
    this.#blockBytes = Math.min(BLOCK_BYTES, Math.ceil(bytesMax / BLOCK_COUNT_MIN))
  }

  /** Offset of the oldest byte that is still here */
  get start(): number {
    return this.#start
  }

  /** Offset after the newest byte */
  get end(): number {
    return this.#end
  }

  append(data: Buffer): void {
    for (let at = 0; at < data.length; ) {
      const used = (this.#end - this.#start) % this.#blockBytes
      if (used === 0) this.#addBlock()
      const copied = data.copy(this.#blocks.at(-1) as Buffer, used, at)
      at += copied
      this.#end += copied
    }
  }

  /** Bytes from `offset` (which must not be before `start`), at most `bytesMax`, perhaps fewer; empty at the end. */
  read(offset: number, bytesMax: number): Buffer {
    if (offset >= this.#end) return Buffer.alloc(0)
    const index = Math.floor((offset - this.#start) / this.#blockBytes)
    const from = (offset - this.#start) % this.#blockBytes
    const available = Math.min(this.#blockBytes - from, this.#end - offset, bytesMax)
    return (this.#blocks[index] as Buffer).subarray(from, from + available)
  }

  #addBlock(): void {
    if (this.#blocks.length * this.#blockBytes < this.bytesMax) {
      this.#blocks.push(Buffer.allocUnsafeSlow(this.#blockBytes))
      return
    }
    // The oldest block becomes the newest: nothing is allocated however much is printed.
    const oldest = this.#blocks.shift() as Buffer
    this.#blocks.push(oldest)
    this.#start += this.#blockBytes
  }
}
