export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

interface OwnedPartition {
  /** The offset of the next record to hand out; undefined while it is being looked up. */
  position: number | undefined
  /** Last offset of an empty batch that did not begin at `position`: believed when it comes a second time. */
  doubted: number | undefined
}

/**
 * One member's partitions between two rebalances, and how far each has been read. It decides which batches
 * may be handed out: those that begin exactly where the last one ended. kafkajs's own bookkeeping can be
 * moved by the late answer of a broker that led the partition before.
 */
export class Ownership {
  readonly epoch: number
  readonly partitions: readonly TopicPartition[]
  /** revoking: it ends now, and commits made this moment still belong to it. */
  state: 'open' | 'revoking' | 'over' = 'open'
  readonly #owned: ReadonlyMap<string, OwnedPartition>

  constructor(epoch: number, partitions: readonly TopicPartition[]) {
    this.epoch = epoch
    this.partitions = partitions
    this.#owned = new Map(partitions.map((one) => [keyOf(one), { position: undefined, doubted: undefined }]))
  }

  owns(partition: TopicPartition): boolean {
    return this.#owned.has(keyOf(partition))
  }

  /** Whether reading can go on; a partition whose position is being looked up again does not hold up the others. */
  get started(): boolean {
    return [...this.#owned.values()].some(({ position }) => position !== undefined)
  }

  position(partition: TopicPartition): number | undefined {
    return this.#owned.get(keyOf(partition))?.position
  }

  startAt(partition: TopicPartition, offset: number): void {
    const owned = this.#owned.get(keyOf(partition))
    if (owned === undefined) return
    owned.position = offset
    owned.doubted = undefined
  }

  /** Forgets the position: nothing is handed out before the next `startAt`. */
  lose(partition: TopicPartition): void {
    const owned = this.#owned.get(keyOf(partition))
    if (owned !== undefined) owned.position = undefined
  }

  /** Takes a batch that was fetched from `fetchedOffset`. misplaced: it does not begin at our position. */
  take(
    batch: TopicPartition & { readonly fetchedOffset: number; readonly nextOffset: number },
  ): 'taken' | 'not wanted' | 'misplaced' {
    const owned = this.#owned.get(keyOf(batch))
    if (this.state !== 'open' || owned?.position === undefined) return 'not wanted'
    if (batch.fetchedOffset !== owned.position) return 'misplaced'
    owned.position = batch.nextOffset
    owned.doubted = undefined
    return 'taken'
  }

  /**
   * Takes a batch without records, over which kafkajs has moved by itself: control records, aborted
   * transactions. kafkajs does not say from where it was fetched, so one that begins past our position is
   * doubtful: after a compacted gap it comes again, as a late answer it does not.
   */
  takeEmpty(
    batch: TopicPartition & { readonly firstOffset: number; readonly lastOffset: number },
  ): 'taken' | 'not wanted' | 'doubtful' {
    const owned = this.#owned.get(keyOf(batch))
    if (this.state !== 'open' || owned?.position === undefined) return 'not wanted'
    if (batch.firstOffset !== owned.position && owned.doubted !== batch.lastOffset) {
      owned.doubted = batch.lastOffset
      return 'doubtful'
    }
    owned.position = batch.lastOffset + 1
    owned.doubted = undefined
    return 'taken'
  }
}

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`
