/** A window with the time it began to wait (milliseconds, any monotonic clock). */
export interface Waiting {
  /** Token ids of the window; its length decides the bucket. */
  readonly tokens: Int32Array
  readonly arrivedMs: number
}

/** First in, first out, without moving the rest at every removal. */
class Fifo<Item> {
  #items: Item[] = []
  #head = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  get first(): Item | undefined {
    return this.#items[this.#head]
  }

  push(item: Item): void {
    this.#items.push(item)
  }

  moveTo(target: Item[], count: number): void {
    const end = this.#head + count
    for (let index = this.#head; index < end; index++) target.push(this.#items[index] as Item)
    this.#head = end
    // The spent part is cut off only when it outweighs the rest, so a removal is O(1) amortised.
    if (this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
  }
}

/** What waits at one exact length, as the batcher sees it. */
export interface Bucket {
  readonly tokens: number
  readonly rows: number
  readonly oldestMs: number
}

/**
 * Windows that wait for a batch, in one bucket per exact token length. Adding and taking are O(1) a window;
 * listing the buckets is O(distinct lengths).
 */
export class WaitingWindows<Item extends Waiting> {
  readonly #buckets = new Map<number, Fifo<Item>>()
  #lengths: number[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  add(item: Item): void {
    const length = item.tokens.length
    let bucket = this.#buckets.get(length)
    if (bucket === undefined) {
      bucket = new Fifo()
      this.#buckets.set(length, bucket)
      this.#insertLength(length)
    }
    bucket.push(item)
    this.#size++
  }

  /** The buckets that are not empty, shortest first. */
  buckets(): Bucket[] {
    const buckets: Bucket[] = []
    for (const tokens of this.#lengths) {
      const bucket = this.#buckets.get(tokens)
      const first = bucket?.first
      if (bucket !== undefined && first !== undefined) {
        buckets.push({ tokens, rows: bucket.size, oldestMs: first.arrivedMs })
      }
    }
    return buckets
  }

  /** Removes and returns up to `rows` windows: the oldest of length `longest` first, then ever shorter ones. */
  take(longest: number, rows: number): Item[] {
    const taken: Item[] = []
    const start = this.#lengths.indexOf(longest)
    for (let index = start; index >= 0 && taken.length < rows; index--) {
      const bucket = this.#buckets.get(this.#lengths[index] ?? 0)
      if (bucket !== undefined) bucket.moveTo(taken, Math.min(bucket.size, rows - taken.length))
    }
    this.#size -= taken.length
    return taken
  }

  clear(): void {
    this.#buckets.clear()
    this.#lengths = []
    this.#size = 0
  }

  /** Empty buckets stay listed: lengths are bounded by the model's longest input, and they fill again soon. */
  #insertLength(length: number): void {
    let low = 0
    let high = this.#lengths.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#lengths[middle] ?? 0) < length) low = middle + 1
      else high = middle
    }
    this.#lengths.splice(low, 0, length)
  }
}
