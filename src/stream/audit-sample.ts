/** A number of 32 bits from four, each of whose bits depends on all of theirs (the finaliser of MurmurHash3). */
function mixed(...words: readonly number[]): number {
  let hash = 0x9747b28c
  for (const word of words) {
    hash = Math.imul(hash ^ word, 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    hash ^= hash >>> 16
  }
  return hash >>> 0
}

/** The place of an input in the draw, [0, 2^32): the same for the same seed, whatever else there is. */
const drawOf = (seed: number, partition: number, offset: number): number =>
  mixed(seed, partition, Math.floor(offset / 4_294_967_296), offset >>> 0)

/**
 * Draws `size` inputs evenly out of any number: those whose hashes are the least (bottom-k sampling; Cohen and
 * Kaplan, "Summarizing data using bottom-k sketches", 2007). All that it keeps is `size` numbers.
 */
export class AuditSample {
  readonly #size: number
  readonly #seed: number
  /** The least hashes so far, the largest of them first (a binary heap). */
  readonly #heap: number[] = []

  /** `size` Infinity takes every input. */
  constructor(size: number, seed: number) {
    this.#size = size
    this.#seed = seed
  }

  offer(partition: number, offset: number): void {
    if (this.#size === Infinity || this.#size === 0) return
    const draw = drawOf(this.#seed, partition, offset)
    if (this.#heap.length < this.#size) this.#rise(this.#heap.push(draw) - 1)
    else if (draw < (this.#heap[0] ?? 0)) {
      this.#heap[0] = draw
      this.#sink()
    }
  }

  /** Whether an input is among those drawn, once all were offered. */
  has(partition: number, offset: number): boolean {
    if (this.#size === Infinity) return true
    const largest = this.#heap[0]
    return largest !== undefined && drawOf(this.#seed, partition, offset) <= largest
  }

  #rise(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >>> 1
      if (!this.#swapIfLarger(at, parent)) return
      at = parent
    }
  }

  #sink(): void {
    for (let at = 0; ;) {
      const left = 2 * at + 1
      const right = left + 1
      const larger = (this.#heap[right] ?? -1) > (this.#heap[left] ?? -1) ? right : left
      if (!this.#swapIfLarger(larger, at)) return
      at = larger
    }
  }

  #swapIfLarger(child: number, parent: number): boolean {
    const below = this.#heap[child]
    const above = this.#heap[parent]
    if (below === undefined || above === undefined || below <= above) return false
    this.#heap[child] = above
    this.#heap[parent] = below
    return true
  }
}
