import kafkajs, { type Message, type Producer, type RecordMetadata } from 'kafkajs'
import { backoffMs } from '../core/backoff.ts'
import { monotonicMs, sleep } from '../core/clock.ts'
import { type ErrorCode, LabelstreamError } from '../core/errors.ts'
import type { OutgoingMessage } from '../formats/message.ts'
import { partitionsOf, withCluster } from './cluster.ts'
import { type KafkaClient, quietly } from './connect.ts'

export interface WriterOptions {
  /** Default none: score events are small and brokers keep what they get. */
  readonly compression?: 'none' | 'gzip' | undefined
  /** Called before each repetition of a send, with what went wrong. */
  readonly onRetry?: ((code: ErrorCode, message: string) => void) | undefined
}

/** A topic that is gone while we run may come back with the next metadata; after this long it is missing. */
const missingTopicPatienceMs = 60_000

/** With this many failures in a row the producer itself is suspect and replaced. */
const failuresBeforeNewProducer = 3

/** After a failure partitions are written each alone for so long: a broker that hangs is to hold up its own only. */
const aloneMs = 60_000

/**
 * Writes to Kafka with acks=all. A send resolves when the broker has said that every record is durable;
 * infrastructure faults are repeated for ever, with back-off, until `close`. Sends to one partition go one
 * after another in the order of the calls, sends to different partitions at the same time; those of one moment share
 * a request to each broker.
 *
 * The producer is not idempotent: kafkajs then sends one request at a time per broker and gets stuck on a
 * sequence number the broker does not expect, while at-least-once delivery allows the duplicates that a
 * repeated send can leave. Exactly-once uses transactions instead.
 */
export class Writer {
  readonly #client: KafkaClient
  readonly #options: WriterOptions
  readonly #closing = new AbortController()
  /** The last send of each partition, so that the next one waits for it. */
  readonly #tails = new Map<string, Promise<void>>()
  readonly #partitionCounts = new Map<string, number>()
  /** Topics that took a record: that one of them is missing may pass. */
  readonly #seenTopics = new Set<string>()
  /** Of different partitions, for the next request. */
  #gathered: GatheredSend[] = []
  #aloneUntilMs = 0
  #producer: Promise<Producer> | undefined
  #failuresInARow = 0

  private constructor(client: KafkaClient, options: WriterOptions) {
    this.#client = client
    this.#options = options
  }

  /** Throws BROKER_UNREACHABLE, AUTHENTICATION_FAILED or TLS_FAILED within the first-connect timeout. */
  static async connect(client: KafkaClient, options: WriterOptions = {}): Promise<Writer> {
    const writer = new Writer(client, options)
    await writer.#connected()
    return writer
  }

  /**
   * Resolves when all messages are durable in that partition, in their order.
   * Throws TOPIC_MISSING, ACCESS_DENIED, RECORD_TOO_LARGE, AUTHENTICATION_FAILED, BROKER_ERROR, and
   * INTERRUPTED when the writer was closed before the broker had acknowledged them.
   */
  async send(topic: string, partition: number, messages: readonly OutgoingMessage[]): Promise<void> {
    if (messages.length === 0) return
    const queue = `${topic}/${partition}`
    const before = this.#tails.get(queue) ?? Promise.resolve()
    const turn = before.then(
      () => this.#sendUntilDone(topic, partition, messages),
      () => this.#sendUntilDone(topic, partition, messages),
    )
    this.#tails.set(queue, turn)
    try {
      await turn
    } finally {
      if (this.#tails.get(queue) === turn) this.#tails.delete(queue)
    }
  }

  /** Throws TOPIC_MISSING, ACCESS_DENIED. Asked once per topic, then remembered. */
  async partitionCount(topic: string): Promise<number> {
    const known = this.#partitionCounts.get(topic)
    if (known !== undefined) return known
    const count = await this.#askPartitionCount(topic)
    this.#partitionCounts.set(topic, count)
    this.#seenTopics.add(topic)
    return count
  }

  /** Gives up sends that wait for a repetition, and disconnects, within some seconds. */
  async close(): Promise<void> {
    this.#closing.abort()
    await quietly(Promise.allSettled(this.#tails.values()))
    await this.#discard()
  }

  async #sendUntilDone(
    topic: string,
    partition: number,
    messages: readonly OutgoingMessage[],
  ): Promise<void> {
    const startedMs = monotonicMs()
    for (let attempt = 1; ; attempt++) {
      this.#throwIfClosed(topic, partition)
      const failure = await this.#sendOnce(topic, partition, messages)
      if (failure === undefined) return
      const mayComeBack =
        failure.code === 'TOPIC_MISSING' &&
        this.#seenTopics.has(topic) &&
        monotonicMs() - startedMs < missingTopicPatienceMs
      if (failure.disposition !== 'retry' && !mayComeBack) throw failure
      this.#options.onRetry?.(failure.code, failure.message)
      await sleep(backoffMs(attempt), this.#closing.signal)
    }
  }

  /** One attempt; the error says what went wrong, undefined that the records are durable. */
  async #sendOnce(
    topic: string,
    partition: number,
    messages: readonly OutgoingMessage[],
  ): Promise<LabelstreamError | undefined> {
    try {
      const answers = await this.#gather(topic, partition, messages)
      if (covers(answers, topic, partition)) {
        this.#failuresInARow = 0
        this.#seenTopics.add(topic)
        return undefined
      }
      // kafkajs skips a partition without saying so when it is unknown to it or was moved in the meantime
      return await this.#unanswered(topic, partition)
    } catch (error) {
      this.#aloneUntilMs = monotonicMs() + aloneMs
      this.#failuresInARow += 1
      if (this.#failuresInARow >= failuresBeforeNewProducer) {
        this.#failuresInARow = 0
        void this.#discard()
      }
      return this.#client.error(error, { doing: `writing to ${topic}/${partition}`, topic })
    }
  }

  /** Resolves to the answers of a request that held these messages, and perhaps others. */
  #gather(
    topic: string,
    partition: number,
    messages: readonly OutgoingMessage[],
  ): Promise<readonly RecordMetadata[]> {
    return new Promise((resolve, reject) => {
      this.#gathered.push({ topic, partition, messages, resolve, reject })
      if (this.#gathered.length > 1) return
      // a batch of texts has outcomes for many partitions at once
      setImmediate(() => {
        const sends = this.#gathered
        this.#gathered = []
        if (monotonicMs() >= this.#aloneUntilMs) void this.#sendTogether(sends)
        else for (const send of sends) void this.#sendTogether([send])
      })
    })
  }

  async #sendTogether(sends: readonly GatheredSend[]): Promise<void> {
    try {
      const answers = await this.#request(sends)
      for (const { resolve } of sends) resolve(answers)
    } catch (error) {
      const [first, ...others] = sends
      if (others.length === 0) first?.reject(error)
      // whose fault it was, only each of them alone can tell
      else await Promise.all(sends.map((send) => this.#sendTogether([send])))
    }
  }

  async #request(sends: readonly GatheredSend[]): Promise<readonly RecordMetadata[]> {
    const { CompressionTypes } = kafkajs
    const producer = await this.#connected()
    const sending = producer.sendBatch({
      acks: -1,
      compression: this.#options.compression === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None,
      topicMessages: [...new Set(sends.map(({ topic }) => topic))].map((topic) => ({
        topic,
        messages: sends.filter((send) => send.topic === topic).flatMap(recordsOf),
      })),
    })
    const places = sends.map(({ topic, partition }) => `${topic}/${partition}`).join(', ')
    return this.#client.answered(sending, `writing to ${places}`, () => {
      void this.#discard()
    })
  }

  async #unanswered(topic: string, partition: number): Promise<LabelstreamError> {
    const count = await this.#askPartitionCount(topic)
    if (partition >= count) {
      return new LabelstreamError(
        'TOPIC_MISSING',
        `topic ${topic} has ${count} partitions, so there is no partition ${partition}`,
      )
    }
    return new LabelstreamError('BROKER_ERROR', `the broker's answer does not cover ${topic}/${partition}`)
  }

  #askPartitionCount(topic: string): Promise<number> {
    return withCluster(this.#client, [topic], `looking up topic ${topic}`, (cluster) =>
      Promise.resolve(partitionsOf(cluster, topic).length),
    )
  }

  /** The producer, connected; the first who needs one makes it. Rejects with our errors. */
  async #connected(): Promise<Producer> {
    const connecting = (this.#producer ??= connectProducer(this.#client))
    try {
      return await connecting
    } catch (error) {
      if (this.#producer === connecting) this.#producer = undefined
      throw error
    }
  }

  /** After a long outage a kafkajs producer can be left without a seed broker; a new one starts from our list. */
  async #discard(): Promise<void> {
    const suspect = this.#producer
    this.#producer = undefined
    await quietly(suspect?.then((producer) => producer.disconnect()) ?? Promise.resolve())
  }

  #throwIfClosed(topic: string, partition: number): void {
    if (!this.#closing.signal.aborted) return
    throw new LabelstreamError(
      'INTERRUPTED',
      `the writer was closed before records for ${topic}/${partition} were acknowledged`,
    )
  }
}

interface GatheredSend {
  readonly topic: string
  readonly partition: number
  readonly messages: readonly OutgoingMessage[]
  readonly resolve: (answers: readonly RecordMetadata[]) => void
  readonly reject: (error: unknown) => void
}

const recordsOf = ({ partition, messages }: GatheredSend): Message[] =>
  messages.map(({ key, value, headers }) => ({ key, value, headers: { ...headers }, partition }))

/** Whether the answer says that this partition took the records. */
function covers(answers: readonly RecordMetadata[], topic: string, partition: number): boolean {
  return answers.some(
    (answer) => answer.topicName === topic && answer.partition === partition && answer.errorCode === 0,
  )
}

async function connectProducer(client: KafkaClient): Promise<Producer> {
  const producer = client.open().producer({
    allowAutoTopicCreation: false,
    // every message names its partition; naming the partitioner keeps kafkajs from warning about its default
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    // one attempt: repetitions are ours, so that they can be counted and ended
    retry: { retries: 0 },
  })
  await client.connect(producer, 'connecting to write')
  return producer
}
