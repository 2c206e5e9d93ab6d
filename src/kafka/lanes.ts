import type { Cluster } from 'kafkajs'
import { backoffMs } from '../core/backoff.ts'
import { monotonicMs, sleep } from '../core/clock.ts'
import { type ErrorCode, LabelstreamError } from '../core/errors.ts'
import type { Position } from '../formats/message.ts'
import { openCluster, partitionsOf } from './cluster.ts'
import { type KafkaClient, quietly } from './connect.ts'
import { protocolErrorType } from './errors.ts'
import { laneOf } from './lane-assigner.ts'
import type { TopicPartition } from './ownership.ts'
import { checkLaneMetadata, checkLaneNumber, laneMetadata } from './lane-number.ts'
import { offsetsOf } from './stable-offsets.ts'
import { type PartitionSend, TopicFault, TransactionalProducer } from './transaction.ts'

export interface LanesOptions {
  readonly group: string
  readonly inputTopics: readonly string[]
  readonly outputTopics: readonly string[]
  /** The same for every member, for the life of the group. */
  readonly lanes: number
  /** Default none. */
  readonly compression?: 'none' | 'gzip' | undefined
  /** A transaction that is open for longer is aborted by its coordinator. Default 30,000. */
  readonly transactionTimeoutMs?: number | undefined
  /** 'failed': it is done again, or was committed after all and is then counted as that, too. */
  readonly onTransaction?: ((result: 'committed' | 'failed' | 'fenced') => void) | undefined
  readonly onRetry?: ((code: ErrorCode, message: string) => void) | undefined
}

/** A lane in one epoch. */
interface HeldLane {
  readonly epoch: number
  readonly lane: number
  readonly partitions: readonly TopicPartition[]
  /** undefined after an error: the lane has to be taken anew before the next transaction. */
  producer: TransactionalProducer | undefined
  /** What the group has committed for each partition, as of the producer's fencing and its transactions since. */
  committed: Map<string, number | undefined>
  underWay: Promise<unknown>
  /** Aborted when the lane is let go: a fence that came later would hit our own successor. */
  readonly over: AbortController
}

/** The answers to one whose producer epoch is not the newest of its transactional id. */
const fencedTypes = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'])
const undecidedPauseMs = 10
const predecessorPatienceMs = 2_000
const settlePatienceMs = 5_000
const missingTopicPatienceMs = 60_000
const failuresBeforeNewCluster = 3

/**
 * Exactly-once writing. Input partitions belong to lanes (partition modulo their number), and each lane has one
 * transactional id, whoever works for it. Two rules are all of the proof:
 *
 * 1. The group's committed offsets of a lane change only in transactions of its transactional id.
 * 2. A transaction starts at offsets that were read, with nothing undecided, after its producer had fenced all
 *    earlier ones (or that the same producer has committed since).
 *
 * So whoever's transaction commits has seen everything that was committed before it. Membership of the group
 * serves only to share the work: a member that was frozen while its lanes went to others is refused by rule 2.
 */
export class Lanes {
  readonly #client: KafkaClient
  readonly #options: LanesOptions
  #closed = false
  readonly #held = new Map<number, HeldLane>()
  #opened: { readonly cluster: Cluster; close(): Promise<void> }
  #failuresInARow = 0

  private constructor(
    client: KafkaClient,
    options: LanesOptions,
    opened: { readonly cluster: Cluster; close(): Promise<void> },
  ) {
    this.#client = client
    this.#options = options
    this.#opened = opened
  }

  /**
   * Connects, and checks that the group has not worked with another number of lanes before.
   * Throws SETTING_INVALID, BROKER_UNREACHABLE, TOPIC_MISSING, ACCESS_DENIED and the like.
   */
  static async connect(client: KafkaClient, options: LanesOptions): Promise<Lanes> {
    const opened = await openLanesCluster(client, options)
    try {
      await checkLaneNumber(opened.cluster, options)
    } catch (error) {
      await opened.close()
      throw error
    }
    return new Lanes(client, options, opened)
  }

  laneOf(partition: number): number {
    return laneOf(partition, this.#options.lanes)
  }

  partitionCount(topic: string): Promise<number> {
    return Promise.resolve(partitionsOf(this.#opened.cluster, topic).length)
  }

  /**
   * Takes the lanes of these partitions for an epoch: fences whoever had them and waits until everything they
   * began is decided. The reader's `beforeStart`. Throws LabelstreamErrors; `retry` ones are worth repeating.
   */
  async acquire(epoch: number, partitions: readonly TopicPartition[]): Promise<void> {
    const byLane = new Map<number, TopicPartition[]>()
    for (const one of partitions) {
      const lane = this.laneOf(one.partition)
      byLane.set(lane, [...(byLane.get(lane) ?? []), one])
    }
    for (const held of [...this.#held.values()]) if (!byLane.has(held.lane)) this.#letGo(held)
    await Promise.all([...byLane].map(([lane, own]) => this.#acquireLane(epoch, lane, own)))
  }

  async #acquireLane(epoch: number, lane: number, partitions: readonly TopicPartition[]): Promise<void> {
    // what this member began in an earlier epoch may as well end well: it is less to do again
    const former = this.#held.get(lane)
    if (former !== undefined) {
      await quietly(former.underWay, predecessorPatienceMs)
      this.#letGo(former)
    }
    if (this.#closed) throw new LabelstreamError('INTERRUPTED', 'the writer was closed')
    const held: HeldLane = {
      epoch,
      lane,
      partitions,
      producer: undefined,
      committed: new Map(),
      underWay: Promise.resolve(),
      over: new AbortController(),
    }
    this.#held.set(lane, held)
    try {
      await this.#take(held)
    } catch (error) {
      await this.#countFailure()
      throw this.#fault(error, held)
    }
  }

  /**
   * One transaction of a lane: all records, then the offsets, or nothing. Repeated with back-off until it is
   * known to be committed; 'stale' when the lane belongs to someone else or to another epoch by now, or `close`
   * came between. Throws ACCESS_DENIED, RECORD_TOO_LARGE and whatever else repeating cannot help.
   */
  async transact(
    epoch: number,
    lane: number,
    sends: readonly PartitionSend[],
    offsets: readonly Position[],
  ): Promise<'committed' | 'stale'> {
    const held = this.#held.get(lane)
    if (held?.epoch !== epoch) return 'stale'
    const work = this.#transactUntilDecided(held, sends, offsets)
    held.underWay = work
    const result = await work
    // lost: this epoch does not take it again
    if (result === 'stale') this.#letGo(held)
    return result
  }

  /** Resolves when readers see all that was committed, or after a few seconds. Call it while the epoch lasts. */
  async settle(): Promise<void> {
    const settling = [...this.#held.values()]
      .filter(({ producer }) => producer !== undefined)
      .map((held) => quietly(this.#fence(held)))
    await quietly(Promise.all(settling), settlePatienceMs)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const held of [...this.#held.values()]) this.#letGo(held)
    await this.#opened.close()
  }

  async #transactUntilDecided(
    held: HeldLane,
    sends: readonly PartitionSend[],
    offsets: readonly Position[],
  ): Promise<'committed' | 'stale'> {
    const startedMs = monotonicMs()
    for (let attempt = 1; ; attempt++) {
      if (held.over.signal.aborted) return 'stale'
      try {
        if (held.producer === undefined) {
          const before = held.committed
          await this.#take(held)
          const found = whatBecame(before, held.committed, offsets)
          if (found === 'committed') this.#options.onTransaction?.('committed')
          if (found !== 'nothing') return found
        }
        await this.#commitOnce(held, sends, offsets)
        this.#failuresInARow = 0
        this.#options.onTransaction?.('committed')
        return 'committed'
      } catch (error) {
        if (held.over.signal.aborted) return 'stale'
        // never used again: what became of its transaction is found out by its successor
        held.producer = undefined
        if (fencedTypes.has(protocolErrorType(error) ?? '')) {
          this.#options.onTransaction?.('fenced')
          return 'stale'
        }
        this.#options.onTransaction?.('failed')
        await this.#countFailure()
        const fault = this.#fault(error, held)
        const mayComeBack =
          fault.code === 'TOPIC_MISSING' && monotonicMs() - startedMs < missingTopicPatienceMs
        if (fault.disposition !== 'retry' && !mayComeBack) throw fault
        this.#options.onRetry?.(fault.code, fault.message)
        await sleep(backoffMs(attempt), held.over.signal)
      }
    }
  }

  async #commitOnce(
    held: HeldLane,
    sends: readonly PartitionSend[],
    offsets: readonly Position[],
  ): Promise<void> {
    const { producer } = held
    if (producer === undefined) throw new LabelstreamError('INTERNAL', `lane ${held.lane} has no producer`)
    const metadata = laneMetadata(this.#options.lanes)
    const committing = producer.commit(sends, offsets, metadata, held.over.signal)
    await this.#client.answered(committing, `a transaction of lane ${held.lane}`)
    for (const position of offsets) held.committed.set(keyOf(position), position.offset)
  }

  /** Fences, then reads what is committed: in this order, or a predecessor could commit in between. */
  async #take(held: HeldLane): Promise<void> {
    const producer = await this.#fence(held)
    held.committed = await this.#committedOffsets(held)
    held.producer = producer
  }

  #letGo(held: HeldLane): void {
    held.over.abort()
    if (this.#held.get(held.lane) === held) this.#held.delete(held.lane)
  }

  #fence(held: HeldLane): Promise<TransactionalProducer> {
    const { group, lanes, compression = 'none', transactionTimeoutMs = 30_000 } = this.#options
    const fencing = TransactionalProducer.fence(
      this.#opened.cluster,
      {
        transactionalId: transactionalIdOf(group, lanes, held.lane),
        group,
        timeoutMs: transactionTimeoutMs,
        compression,
      },
      held.over.signal,
    )
    return this.#client.answered(fencing, `taking lane ${held.lane}`)
  }

  async #committedOffsets(held: HeldLane): Promise<Map<string, number | undefined>> {
    for (;;) {
      const asking = offsetsOf(this.#opened.cluster, this.#options.group, held.partitions, { stable: true })
      const found = await this.#client.answered(asking, `what is committed of lane ${held.lane}`)
      if (found !== 'undecided') {
        checkLaneMetadata(found, this.#options)
        return new Map(found.map((one) => [keyOf(one), one.offset]))
      }
      if (held.over.signal.aborted) throw new LabelstreamError('INTERRUPTED', 'the lane was let go')
      await sleep(undecidedPauseMs, held.over.signal)
    }
  }

  /** kafkajs's cluster object goes on asking brokers that are gone; a new one starts from our list. */
  async #countFailure(): Promise<void> {
    this.#failuresInARow += 1
    if (this.#closed) return
    if (this.#failuresInARow < failuresBeforeNewCluster) {
      await quietly(this.#opened.cluster.refreshMetadata())
      return
    }
    this.#failuresInARow = 0
    const old = this.#opened
    try {
      const fresh = await openLanesCluster(this.#client, this.#options)
      if (this.#opened !== old || this.#closed) {
        await fresh.close()
        return
      }
      this.#opened = fresh
      await old.close()
    } catch {
      // nobody answers at all: the next attempt says so
    }
  }

  #fault(error: unknown, { lane }: HeldLane): LabelstreamError {
    const { group, outputTopics, lanes } = this.#options
    return this.#client.error(error, {
      doing: `a transaction of ${transactionalIdOf(group, lanes, lane)}`,
      topic: error instanceof TopicFault ? error.topic : outputTopics.join(', '),
      group,
    })
  }
}

/** Not of the client id: every member of a group must use the same one, or it would not fence. */
export const transactionalIdOf = (group: string, lanes: number, lane: number): string =>
  `labelstream.${group}.${lanes}.${lane}`

/** What became of a transaction with these offsets whose end is not known, from what is committed after a fence. */
export function whatBecame(
  before: ReadonlyMap<string, number | undefined>,
  now: ReadonlyMap<string, number | undefined>,
  offsets: readonly Position[],
): 'committed' | 'nothing' | 'stale' {
  if (offsets.every((position) => now.get(keyOf(position)) === position.offset)) return 'committed'
  if (offsets.every((position) => now.get(keyOf(position)) === before.get(keyOf(position)))) return 'nothing'
  // someone else has worked on the lane
  return 'stale'
}

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

function openLanesCluster(client: KafkaClient, { inputTopics, outputTopics }: LanesOptions) {
  return openCluster(client, [...inputTopics, ...outputTopics], 'connecting to write')
}
