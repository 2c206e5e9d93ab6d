/**
 * Offsets of one partition in one epoch. Opened in offset order, finished in any order. `committable()` is one past
 * the longest gap-free run of finished offsets: offsets that were never opened (compacted away, control records)
 * do not hold it up. It never goes backwards.
 */
export class PartitionLedger {
  /** A ring of the offsets from the oldest unfinished one on. */
  #offsets = new Float64Array(64)
  #finished = new Uint8Array(64)
  #head = 0
  #size = 0
  #next: number | undefined
  #committable: number | undefined

  /** Offsets opened and still held up: unfinished, or finished after an unfinished one. */
  get open(): number {
    return this.#size
  }

  /** Where the partition was read to: one past the last offset seen. */
  get next(): number | undefined {
    return this.#next
  }

  /** Adds an entry. An offset at or below the last one (a record read twice) is refused with false. */
  enter(offset: number): boolean {
    if (this.#next !== undefined && offset < this.#next) return false
    if (this.#size === this.#offsets.length) this.#grow()
    const place = (this.#head + this.#size) & (this.#offsets.length - 1)
    this.#offsets[place] = offset
    this.#finished[place] = 0
    // Nothing exists between the last offset and this one.
    if (this.#size === 0 && this.#committable !== undefined) this.#committable = offset
    this.#size++
    this.#next = offset + 1
    return true
  }

  /** Moves the end of what was read over offsets that hold no message. */
  advance(nextOffset: number): void {
    if (this.#next === undefined || nextOffset > this.#next) this.#next = nextOffset
    if (this.#size === 0) this.#committable = this.#next
  }

  /** Marks an offset finished. Unknown and already finished offsets change nothing. */
  finish(offset: number): void {
    const index = this.#find(offset)
    if (index < 0) return
    this.#finished[this.#place(index)] = 1
    if (index > 0) return
    while (this.#size > 0 && this.#finished[this.#head] === 1) {
      this.#head = (this.#head + 1) & (this.#offsets.length - 1)
      this.#size--
    }
    this.#committable = this.#size > 0 ? this.#offsets[this.#head] : this.#next
  }

  /** The offset to commit; undefined while nothing has been finished or moved over. */
  committable(): number | undefined {
    return this.#committable
  }

  /** The offset to commit when `offset`, an open entry, and all before it are finished. */
  after(offset: number): number | undefined {
    const index = this.#find(offset)
    if (index < 0) return undefined
    return index + 1 < this.#size ? this.#offsets[this.#place(index + 1)] : this.#next
  }

  #place(index: number): number {
    return (this.#head + index) & (this.#offsets.length - 1)
  }

  /** Index of an offset from the head on, or -1. The head first: most offsets are finished in order. */
  #find(offset: number): number {
    if (this.#size > 0 && this.#offsets[this.#head] === offset) return 0
    let low = 0
    let high = this.#size - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const found = this.#offsets[this.#place(middle)] ?? 0
      if (found === offset) return middle
      if (found < offset) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  #grow(): void {
    const offsets = new Float64Array(this.#offsets.length * 2)
    const finished = new Uint8Array(offsets.length)
    for (let index = 0; index < this.#size; index++) {
      offsets[index] = this.#offsets[this.#place(index)] ?? 0
      finished[index] = this.#finished[this.#place(index)] ?? 0
    }
    this.#offsets = offsets
    this.#finished = finished
    this.#head = 0
  }
}
