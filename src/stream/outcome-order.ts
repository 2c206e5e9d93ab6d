/** Outcomes of one input partition in one partition of a topic, in the order of that topic. */
interface Track {
  readonly first: number
  last: number
}

/** A topic of outcomes at the start of an audit. */
export interface OutcomeTopic {
  /** By partition the first offset that is still there: above 0 something was removed. */
  readonly beginnings: ReadonlyMap<number, number>
  /** Whether records are removed for newer ones of their key. */
  readonly compacted: boolean
}

/**
 * What the order of a topic of outcomes says: outcomes of an input partition come in the order of its inputs, and
 * retention removes from the beginning.
 */
export class OutcomeOrder {
  readonly #topic: OutcomeTopic
  readonly #cut = new Set<number>()
  /** By partition of the topic, then by input partition. */
  readonly #tracks = new Map<number, Map<number, Track>>()
  readonly #oldestMs = new Map<number, number>()

  constructor(topic: OutcomeTopic) {
    this.#topic = topic
    this.beginnings(topic.beginnings)
  }

  /** Where the partitions begin by now: retention goes on meanwhile. */
  beginnings(offsets: ReadonlyMap<number, number>): void {
    for (const [partition, offset] of offsets) if (offset > 0) this.#cut.add(partition)
  }

  /** Every record of the topic is told, in its order. */
  record(partition: number, timestampMs: number): void {
    if (!this.#oldestMs.has(partition)) this.#oldestMs.set(partition, timestampMs)
  }

  /** Whether an outcome stands where its input's turn is. Repetitions may stand anywhere behind. */
  inOrder(partition: number, inputPartition: number, offset: number, repeated: boolean): boolean {
    let tracks = this.#tracks.get(partition)
    if (tracks === undefined) {
      tracks = new Map()
      this.#tracks.set(partition, tracks)
    }
    const track = tracks.get(inputPartition)
    if (track === undefined) {
      tracks.set(inputPartition, { first: offset, last: offset })
      return true
    }
    if (repeated || offset > track.last) {
      track.last = Math.max(track.last, offset)
      return true
    }
    // its first outcome was among those that were removed
    return offset < track.first && this.#cut.has(partition)
  }

  /**
   * Whether an input's outcome can have been here and be gone. What was removed came before all that is left of
   * its partition, and was written before the oldest record that is left.
   */
  mayBeGone(inputPartition: number, offset: number, timestampMs: number): boolean {
    if (this.#topic.compacted) return true
    const usual = inputPartition % this.#topic.beginnings.size
    return [...this.#cut].some((partition) => {
      const track = this.#tracks.get(partition)?.get(inputPartition)
      if (track === undefined && partition !== usual) return false
      return offset < (track?.first ?? Infinity) && timestampMs <= (this.#oldestMs.get(partition) ?? Infinity)
    })
  }
}
