import type { Cluster, Message } from 'kafkajs'
import kafkajs from 'kafkajs'
import { sleep } from '../core/clock.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import type { OutgoingMessage, Position } from '../formats/message.ts'
import { protocolErrorType } from './errors.ts'

/** Messages for one partition, in order. */
export interface PartitionSend {
  readonly topic: string
  readonly partition: number
  readonly messages: readonly OutgoingMessage[]
}

export interface TransactionOptions {
  readonly transactionalId: string
  readonly group: string
  /** Without an end for this long the coordinator aborts a transaction by itself. */
  readonly timeoutMs: number
  readonly compression: 'none' | 'gzip'
}

/** kafkajs's broker with the requests of transactions, which it has and does not declare. */
interface TransactionBroker {
  initProducerId(request: {
    transactionalId: string
    transactionTimeout: number
  }): Promise<{ producerId: string; producerEpoch: number }>
  addPartitionsToTxn(
    request: Ids & { topics: { topic: string; partitions: number[] }[] },
  ): Promise<{ errors: unknown }>
  addOffsetsToTxn(request: Ids & { groupId: string }): Promise<unknown>
  txnOffsetCommit(
    request: Ids & {
      groupId: string
      topics: {
        topic: string
        partitions: { partition: number; offset: string; metadata: string }[]
      }[]
    },
  ): Promise<unknown>
  endTxn(request: Ids & { transactionResult: boolean }): Promise<unknown>
  produce(
    request: Ids & {
      acks: number
      timeout: number
      compression: number
      topicData: {
        topic: string
        partitions: { partition: number; firstSequence: number; messages: Message[] }[]
      }[]
    },
  ): Promise<{
    topics: { topicName: string; partitions: { partition: number; errorCode: number }[] }[]
  }>
}

interface Ids {
  readonly transactionalId: string
  readonly producerId: string
  readonly producerEpoch: number
}

interface Coordinators {
  readonly transaction: TransactionBroker
  readonly group: TransactionBroker
}

const transactionCoordinator = 1
const produceTimeoutMs = 30_000
const shortestBusyPauseMs = 5
const longestBusyPauseMs = 100

/**
 * A transactional producer from its fencing to its first error. It speaks the protocol's requests one by one and
 * repeats none whose outcome is unknown: after any error it is to be thrown away, and what became of the
 * transaction is found out by the next producer of the same transactional id, which fences this one.
 */
export class TransactionalProducer {
  readonly #cluster: Cluster
  readonly #options: TransactionOptions
  readonly #ids: Ids
  readonly #coordinators: Coordinators
  readonly #sequences = new Map<string, number>()

  private constructor(cluster: Cluster, options: TransactionOptions, ids: Ids, coordinators: Coordinators) {
    this.#cluster = cluster
    this.#options = options
    this.#ids = ids
    this.#coordinators = coordinators
  }

  /**
   * Fences every earlier producer of the transactional id. Resolves when the last transaction of the id is
   * decided everywhere: one that was open is aborted, one that was being committed is committed.
   * Throws kafkajs's errors; stops waiting when `signal` aborts, with INTERRUPTED.
   */
  static async fence(
    cluster: Cluster,
    options: TransactionOptions,
    signal: AbortSignal,
  ): Promise<TransactionalProducer> {
    const { transactionalId, group, timeoutMs } = options
    const transaction = await findCoordinator(cluster, transactionalId, transactionCoordinator)
    const groupCoordinator = await findCoordinator(cluster, group, undefined)
    const { producerId, producerEpoch } = await untilNotBusy(
      () => transaction.initProducerId({ transactionalId, transactionTimeout: timeoutMs }),
      signal,
    )
    const ids = { transactionalId, producerId, producerEpoch }
    return new TransactionalProducer(cluster, options, ids, { transaction, group: groupCoordinator })
  }

  /**
   * One transaction: records, then offsets, then the commit. Resolves when the commit is decided (readers see it
   * a moment later). Throws kafkajs's errors, and BROKER_ERROR when an answer does not cover a partition.
   */
  async commit(
    sends: readonly PartitionSend[],
    offsets: readonly Position[],
    metadata: string,
    signal: AbortSignal,
  ): Promise<void> {
    const ids = this.#ids
    const { group: groupId } = this.#options
    const { transaction, group } = this.#coordinators
    if (sends.length > 0) {
      // one by one, so that a refusal belongs to one topic: of several, kafkajs tells the first answer, and that may
      // be the one of a topic that is only there with the refused one
      for (const [topic, ofTopic] of grouped(sends, (send) => send.topic)) {
        const topics = [{ topic, partitions: [...new Set(ofTopic.map(({ partition }) => partition))] }]
        await about(topic, () =>
          untilNotBusy(() => transaction.addPartitionsToTxn({ ...ids, topics }), signal),
        )
      }
      const partitions = grouped(sends, ({ topic, partition }) => `${topic}/${partition}`)
      await everySettled([...partitions.values()].map((ofPartition) => this.#produceInTurn(ofPartition)))
    }
    await untilNotBusy(() => transaction.addOffsetsToTxn({ ...ids, groupId }), signal)
    const topics = [...grouped(offsets, ({ topic }) => topic)].map(([topic, positions]) => ({
      topic,
      partitions: positions.map(({ partition, offset }) => ({ partition, offset: String(offset), metadata })),
    }))
    await group.txnOffsetCommit({ ...ids, groupId, topics })
    await transaction.endTxn({ ...ids, transactionResult: true })
  }

  async #produceInTurn(sends: readonly PartitionSend[]): Promise<void> {
    for (const send of sends) await about(send.topic, () => this.#produce(send))
  }

  async #produce({ topic, partition, messages }: PartitionSend): Promise<void> {
    const key = `${topic}/${partition}`
    const firstSequence = this.#sequences.get(key) ?? 0
    const leader = Object.keys(this.#cluster.findLeaderForPartitions(topic, [partition]))[0]
    if (leader === undefined) throw new LabelstreamError('BROKER_ERROR', `${key} has no leader now`)
    const broker = (await this.#cluster.findBroker({ nodeId: leader })) as unknown as TransactionBroker
    const { CompressionTypes } = kafkajs
    const answer = await broker.produce({
      ...this.#ids,
      acks: -1,
      timeout: produceTimeoutMs,
      compression: this.#options.compression === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None,
      topicData: [{ topic, partitions: [{ partition, firstSequence, messages: messages.map(asRecord) }] }],
    })
    const covered = answer.topics.some(
      ({ topicName, partitions }) =>
        topicName === topic &&
        partitions.some((answered) => answered.partition === partition && answered.errorCode === 0),
    )
    if (!covered) throw new LabelstreamError('BROKER_ERROR', `the broker's answer does not cover ${key}`)
    this.#sequences.set(key, firstSequence + messages.length)
  }
}

/** What went wrong with a request about one topic. */
export class TopicFault extends Error {
  readonly topic: string

  constructor(topic: string, cause: unknown) {
    super(messageOf(cause), { cause })
    this.name = 'TopicFault'
    this.topic = topic
  }
}

async function about<T>(topic: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw new TopicFault(topic, error)
  }
}

async function findCoordinator(
  cluster: Cluster,
  groupId: string,
  coordinatorType: number | undefined,
): Promise<TransactionBroker> {
  const request: { groupId: string; coordinatorType?: number } = { groupId }
  if (coordinatorType !== undefined) request.coordinatorType = coordinatorType
  return (await cluster.findGroupCoordinator(request)) as unknown as TransactionBroker
}

/**
 * Repeats a request that the coordinator refuses because it still ends the transaction before: the one refusal
 * that says for certain that nothing was done.
 */
async function untilNotBusy<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (protocolErrorType(error) !== 'CONCURRENT_TRANSACTIONS') throw error
      if (signal.aborted) {
        throw new LabelstreamError('INTERRUPTED', 'closed while a transaction was ending', { cause: error })
      }
    }
    await sleep(Math.min(longestBusyPauseMs, shortestBusyPauseMs * attempt), signal)
  }
}

/** As Promise.all, but nothing is under way any more when it rejects. */
async function everySettled(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason
}

function grouped<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

const asRecord = ({ key, value, headers }: OutgoingMessage): Message => ({
  key,
  value,
  headers: { ...headers },
})
