/** What became of one message. */
export type OutcomeKind = 'score' | 'deadLetter' | 'skip'

/** One message's place in its partition's order; `outcome` is undefined until it is known. */
export interface Sequenced {
  readonly offset: number
  outcome: { readonly kind: OutcomeKind; readonly sizeBytes: number } | undefined
}

export interface SendLimits {
  readonly maxMessages: number
  readonly maxBytes: number
}

/**
 * Puts the outcomes of one input partition back into input order. One run of messages is out at a time: `take`
 * gives everything that is ready, up to the limits, and nothing more until `acknowledge`.
 */
export class Sequencer<Item extends Sequenced> {
  readonly #limits: SendLimits
  #queue: Item[] = []
  #head = 0
  #sending = 0
  /** One past the last of the messages that have their outcomes without a gap, as far as was looked. */
  #readyEnd = 0

  constructor(limits: SendLimits) {
    this.#limits = limits
  }

  /** Messages whose outcome is not acknowledged yet. */
  get size(): number {
    return this.#queue.length - this.#head
  }

  /** How many of the oldest messages have their outcomes and are not out. */
  get ready(): number {
    const start = this.#head + this.#sending
    if (this.#readyEnd < start) this.#readyEnd = start
    while (this.#queue[this.#readyEnd]?.outcome !== undefined) this.#readyEnd++
    return this.#readyEnd - start
  }

  get sending(): boolean {
    return this.#sending > 0
  }

  /** Adds a message; call it in offset order. */
  push(item: Item): void {
    this.#queue.push(item)
  }

  /** The next run of messages to publish, oldest first; empty while a run is out or the oldest is not ready. */
  take(): Item[] {
    if (this.#sending > 0) return []
    let end = this.#head
    let sizeBytes = 0
    while (end < this.#queue.length && end - this.#head < this.#limits.maxMessages) {
      const outcome = this.#queue[end]?.outcome
      if (outcome === undefined) break
      sizeBytes += outcome.sizeBytes
      // A single message above the limit still goes, alone: the broker has the last word on its size.
      if (sizeBytes > this.#limits.maxBytes && end > this.#head) break
      end++
    }
    this.#sending = end - this.#head
    return this.#queue.slice(this.#head, end)
  }

  /** The run that is out is durable on the broker: forget it. */
  acknowledge(): void {
    this.#head += this.#sending
    this.#sending = 0
    if (this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#readyEnd = Math.max(0, this.#readyEnd - this.#head)
      this.#head = 0
    }
  }
}
