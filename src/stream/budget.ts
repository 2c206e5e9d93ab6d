/**
 * Bytes of messages read and not yet published. At the high watermark reading is to be paused, at the low one to go
 * on; the distance between them keeps reading from flapping. Reading overshoots by at most what one fetch brings,
 * because a pause does not stop a fetch that is under way.
 */
export class ByteBudget {
  readonly #highBytes: number
  readonly #lowBytes: number
  #inFlightBytes = 0
  #paused = false

  /** `highBytes`: pause at or above. `lowBytes` (half of it unless given): resume at or below. */
  constructor(highBytes: number, lowBytes: number = Math.floor(highBytes / 2)) {
    this.#highBytes = highBytes
    this.#lowBytes = Math.min(lowBytes, highBytes - 1)
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Counts bytes in. True: pause reading now. */
  add(sizeBytes: number): boolean {
    this.#inFlightBytes += sizeBytes
    if (this.#paused || this.#inFlightBytes < this.#highBytes) return false
    this.#paused = true
    return true
  }

  /** Counts bytes out. True: resume reading now. */
  release(sizeBytes: number): boolean {
    this.#inFlightBytes -= sizeBytes
    if (!this.#paused || this.#inFlightBytes > this.#lowBytes) return false
    this.#paused = false
    return true
  }
}
