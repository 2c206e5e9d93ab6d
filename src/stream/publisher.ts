import { asLabelstreamError } from '../core/errors.ts'
import type { OutgoingMessage } from '../formats/message.ts'
import type { InFlightMessage, PartitionStream } from './partition-stream.ts'
import type { WriterPort } from './ports.ts'

/** Where outcomes go. */
export interface OutputTopics {
  readonly scores: string
  readonly deadLetters: string
}

/** Writes runs of outcomes: an input partition always goes to the same output partition, so its order is kept. */
export class Publisher {
  readonly #writer: WriterPort
  readonly #topics: OutputTopics
  readonly #scorePartitions: number
  readonly #deadLetterPartitions: number

  private constructor(
    writer: WriterPort,
    topics: OutputTopics,
    scorePartitions: number,
    deadLetterPartitions: number,
  ) {
    this.#writer = writer
    this.#topics = topics
    this.#scorePartitions = scorePartitions
    this.#deadLetterPartitions = deadLetterPartitions
  }

  /** Asks for the partition counts of both topics; rejects with what the writer rejects with. */
  static async create(writer: WriterPort, topics: OutputTopics): Promise<Publisher> {
    const [scores, deadLetters] = await Promise.all([
      writer.partitionCount(topics.scores),
      writer.partitionCount(topics.deadLetters),
    ])
    return new Publisher(writer, topics, scores, deadLetters)
  }

  /** Resolves when every outcome of the run is durable. Skipped messages leave nothing behind. */
  async publish(stream: PartitionStream, run: readonly InFlightMessage[]): Promise<void> {
    const scores: OutgoingMessage[] = []
    const deadLetters: OutgoingMessage[] = []
    for (const { outcome } of run) {
      if (outcome?.message === undefined) continue
      if (outcome.kind === 'score') scores.push(outcome.message)
      else deadLetters.push(outcome.message)
    }
    const sends: Promise<void>[] = []
    if (scores.length > 0) {
      sends.push(this.#send(this.#topics.scores, stream.partition % this.#scorePartitions, scores))
    }
    if (deadLetters.length > 0) {
      const partition = stream.partition % this.#deadLetterPartitions
      sends.push(this.#send(this.#topics.deadLetters, partition, deadLetters))
    }
    await Promise.all(sends)
  }

  /** Halves what a topic with a small `max.message.bytes` refuses: its limit is for the whole send. */
  async #send(topic: string, partition: number, messages: readonly OutgoingMessage[]): Promise<void> {
    try {
      await this.#writer.send(topic, partition, messages)
    } catch (thrown) {
      const error = asLabelstreamError(thrown)
      if (error.code !== 'RECORD_TOO_LARGE' || messages.length === 1) throw error
      const middle = messages.length >>> 1
      await this.#send(topic, partition, messages.slice(0, middle))
      await this.#send(topic, partition, messages.slice(middle))
    }
  }
}
