import type { Cluster, Consumer, EachBatchPayload } from 'kafkajs'
import kafkajs from 'kafkajs'
import { monotonicMs } from '../core/clock.ts'
import { LabelstreamError } from '../core/errors.ts'
import type { Position } from '../formats/message.ts'
import { hideAborted } from './aborted.ts'
import { type KafkaClient, quietly } from './connect.ts'
import { offsetAfter, ownMessage, type RecordBatch } from './fetched-batch.ts'
import { laneAssigner } from './lane-assigner.ts'
import type { TopicPartition } from './ownership.ts'

export interface GroupMemberOptions {
  readonly group: string
  readonly topics: readonly string[]
  /** Where a group without a committed offset begins: true at the oldest record, false at the end. Default true. */
  readonly fromBeginning?: boolean | undefined
  /** Without a heartbeat for this long the group gives our partitions away. Default 30,000. */
  readonly sessionTimeoutMs?: number | undefined
  /** How long the group waits for its members to join again. Default 60,000. */
  readonly rebalanceTimeoutMs?: number | undefined
  /** Default 1 MiB. A single larger record batch is still read. */
  readonly maxBytesPerPartition?: number | undefined
  /** The most that one broker answers at once, and so the most that can arrive after `pause`. Default 4 MiB. */
  readonly maxBytes?: number | undefined
  /** Members get whole lanes (lane-assigner.ts) of so many. Default: partition by partition. */
  readonly lanes?: number | undefined
}

/** What the consumer does, told synchronously. */
export interface MemberHandlers {
  joined(partitions: readonly TopicPartition[]): void
  rebalancing(): void
  /** false: not taken, fetch it again. */
  batch(batch: RecordBatch & { readonly fetchedOffset: number }): boolean
  /** kafkajs has moved over these offsets by itself: nothing in them is for readers. */
  emptyBatch(batch: TopicPartition & { firstOffset: number; lastOffset: number; highWatermark: number }): void
}

/** kafkajs's Batch in 2.2.4, with what it does not declare. */
interface FetchedBatch {
  readonly fetchedOffset?: unknown
  readonly messagesWithinOffset?: EachBatchPayload['batch']['messages']
}

/**
 * How long a broker waits for records before it answers with none. It is also how long kafkajs sleeps while
 * everything is paused, so it is what `resume` and `disconnect` can cost; heartbeats follow each such sleep.
 */
const maxWaitTimeMs = 100

/**
 * One kafkajs consumer in a group, from joining to its end. It never restarts by itself: its end is told, and
 * a new one is made, because kafkajs restarts with what it believed before.
 */
export class GroupMember {
  readonly #client: KafkaClient
  readonly #options: GroupMemberOptions
  readonly #handlers: MemberHandlers
  readonly #consumer: Consumer
  #cluster: Cluster | undefined
  #lastSignMs = monotonicMs()
  #end: (error: unknown) => void = () => {}
  /** kafkajs's commit without its own repetitions, which would use whatever generation is current by then. */
  #commitNow: EachBatchPayload['commitOffsetsIfNecessary'] | undefined
  #commitsSeen = 0
  /** Settles when kafkajs has joined the group for the first time, or cannot. */
  #joining: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(client: KafkaClient, options: GroupMemberOptions, handlers: MemberHandlers) {
    this.#client = client
    this.#options = options
    this.#handlers = handlers
    const sessionTimeout = options.sessionTimeoutMs ?? 30_000
    const assigner =
      options.lanes === undefined ? kafkajs.PartitionAssigners.roundRobin : laneAssigner(options.lanes)
    // a kafkajs client of its own: consumers of one client share a cache of committed offsets
    this.#consumer = client.open().consumer({
      groupId: options.group,
      sessionTimeout,
      rebalanceTimeout: options.rebalanceTimeoutMs ?? 60_000,
      heartbeatInterval: Math.min(3_000, Math.floor(sessionTimeout / 4)),
      maxBytesPerPartition: options.maxBytesPerPartition ?? 1_048_576,
      maxBytes: options.maxBytes ?? 4_194_304,
      maxWaitTimeInMs: maxWaitTimeMs,
      allowAutoTopicCreation: false,
      readUncommitted: false,
      partitionAssigners: [
        (config) => {
          this.#cluster = config.cluster
          hideAborted(config.cluster)
          return assigner(config)
        },
      ],
      retry: {
        initialRetryTime: 100,
        maxRetryTime: 1_000,
        retries: 5,
        restartOnFailure: () => Promise.resolve(false),
      },
    })
    this.#listen()
  }

  /** Connects, joins and reads; resolves with what ended it. Never rejects. */
  async run(): Promise<LabelstreamError> {
    const ended = new Promise<unknown>((resolve) => {
      this.#end = resolve
    })
    const watch = setInterval(() => {
      this.#endIfSilent()
    }, 1_000)
    try {
      await this.#client.connect(this.#consumer, 'connecting to read')
      await this.#consumer.subscribe({
        topics: [...this.#options.topics],
        fromBeginning: this.#options.fromBeginning ?? true,
      })
      if (this.#closed !== undefined) return this.#fault(await ended)
      const running = this.#consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        // nothing in it waits, so the next fetch is under way at once
        eachBatch: (payload) => {
          this.#take(payload)
          return Promise.resolve()
        },
      })
      this.#joining = running
      running.catch(this.#end)
      return this.#fault(await ended)
    } catch (error) {
      return this.#fault(error)
    } finally {
      clearInterval(watch)
      // a close while it was connecting found nothing to disconnect yet
      if (this.#closed !== undefined) await quietly(this.#consumer.disconnect())
    }
  }

  /** Stops fetching all topics; kafkajs goes on sending heartbeats. */
  pause(): void {
    this.#whileRunning(() => {
      this.#consumer.pause(this.#options.topics.map((topic) => ({ topic })))
    })
  }

  resume(): void {
    this.#whileRunning(() => {
      this.#consumer.resume(this.#options.topics.map((topic) => ({ topic })))
    })
  }

  /** The next fetch of the partition begins there. */
  seek({ topic, partition, offset }: Position): void {
    this.#whileRunning(() => {
      this.#consumer.seek({ topic, partition, offset: String(offset) })
    })
  }

  /** One attempt, in the generation of this moment. Rejects with kafkajs's error. */
  async commit(offsets: readonly Position[]): Promise<'committed' | 'stale'> {
    if (this.#commitNow !== undefined) {
      const topics = [...new Set(offsets.map(({ topic }) => topic))].map((topic) => ({
        topic,
        partitions: offsets
          .filter((one) => one.topic === topic)
          .map(({ partition, offset }) => ({ partition, offset: String(offset) })),
      }))
      await this.#commitNow({ topics })
      return 'committed'
    }
    // before the first batch there is only this one, which does nothing, silently, when the consumer stops
    const seenBefore = this.#commitsSeen
    await this.#consumer.commitOffsets(
      offsets.map(({ topic, partition, offset }) => ({ topic, partition, offset: String(offset) })),
    )
    return this.#commitsSeen > seenBefore ? 'committed' : 'stale'
  }

  /** Makes `run` end with this fault. */
  giveUp(fault: LabelstreamError): void {
    this.#end(fault)
  }

  /** Leaves the group and disconnects, within some seconds. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    // kafkajs forgets a consumer that is told to stop while it joins, and lets it join all the same
    await quietly(this.#joining ?? Promise.resolve())
    this.#end(new LabelstreamError('INTERRUPTED', 'the reader was closed'))
    await quietly(this.#consumer.disconnect())
    if (this.#cluster !== undefined) await endForGood(this.#cluster)
  }

  #listen(): void {
    const { events } = this.#consumer
    const sign = (): void => {
      this.#lastSignMs = monotonicMs()
    }
    this.#consumer.on(events.HEARTBEAT, sign)
    this.#consumer.on(events.FETCH, sign)
    this.#consumer.on(events.COMMIT_OFFSETS, () => {
      this.#commitsSeen += 1
    })
    this.#consumer.on(events.REBALANCING, () => {
      sign()
      this.#handlers.rebalancing()
    })
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
      sign()
      const partitions = Object.entries(payload.memberAssignment).flatMap(([topic, numbers]) =>
        numbers.map((partition) => ({ topic, partition })),
      )
      this.#handlers.joined(partitions)
    })
    this.#consumer.on(events.START_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize > 0) return
      const lastOffset = Number(payload.lastOffset)
      this.#handlers.emptyBatch({
        topic: payload.topic,
        partition: payload.partition,
        // null at the compacted end of a record batch, of which kafkajs steps over one offset
        firstOffset: payload.firstOffset === null ? lastOffset : Number(payload.firstOffset),
        lastOffset,
        highWatermark: Number(payload.highWatermark),
      })
    })
    this.#consumer.on(events.CRASH, ({ payload }) => {
      this.#end(payload.error)
    })
  }

  #take(payload: EachBatchPayload): void {
    this.#commitNow = (offsets) => payload.commitOffsetsIfNecessary(offsets)
    const { batch } = payload
    if (payload.isStale()) return
    const { fetchedOffset, messagesWithinOffset } = batch as typeof batch & FetchedBatch
    const { topic, partition, messages } = batch
    const nextOffset = offsetAfter(messagesWithinOffset ?? messages) ?? Number(batch.lastOffset()) + 1
    const taken = this.#handlers.batch({
      topic,
      partition,
      messages: messages.map((message) => ownMessage(topic, partition, message)),
      nextOffset,
      highWatermark: Number(batch.highWatermark),
      fetchedOffset: Number(fetchedOffset),
    })
    if (taken) payload.resolveOffset(String(nextOffset - 1))
  }

  /** kafkajs can stop working without crashing; then it has neither fetched nor sent a heartbeat for long. */
  #endIfSilent(): void {
    const { rebalanceTimeoutMs = 60_000, sessionTimeoutMs = 30_000 } = this.#options
    const silentMs = monotonicMs() - this.#lastSignMs
    if (silentMs < rebalanceTimeoutMs + sessionTimeoutMs) return
    this.#end(
      new LabelstreamError('BROKER_ERROR', `reading made no progress for ${Math.round(silentMs / 1000)} s`),
    )
  }

  #fault(error: unknown): LabelstreamError {
    const { group, topics } = this.#options
    return this.#client.error(error, {
      doing: `reading ${topics.join(', ')}`,
      topic: topics.join(', '),
      group,
    })
  }

  /** kafkajs throws when it is not running; then there is nothing to pause or seek, and a join sets it all up. */
  #whileRunning(work: () => void): void {
    try {
      work()
    } catch {
      // between two lives of the consumer
    }
  }
}

/** Whatever of kafkajs still runs ends at its next request: without this it would connect anew, and join. */
async function endForGood(cluster: Cluster): Promise<void> {
  const refuse = (): Promise<never> =>
    Promise.reject(Object.assign(new Error('the reader was closed'), { retriable: false }))
  cluster.findBroker = refuse
  cluster.findGroupCoordinator = refuse
  cluster.refreshMetadata = refuse
  await quietly(cluster.disconnect())
}
