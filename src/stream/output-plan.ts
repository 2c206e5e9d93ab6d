import type { OutgoingMessage } from '../formats/message.ts'
import type { InFlightMessage } from './partition-stream.ts'

/** Where outcomes go. */
export interface OutputTopics {
  readonly scores: string
  readonly deadLetters: string
}

/** Messages for one partition, in order. */
export interface OutgoingBatch {
  readonly topic: string
  readonly partition: number
  readonly messages: readonly OutgoingMessage[]
}

/** Which outcome goes where: an input partition always to the same output partition, so its order is kept. */
export class OutputPlan {
  readonly #topics: OutputTopics
  readonly #scorePartitions: number
  readonly #deadLetterPartitions: number

  private constructor(topics: OutputTopics, scorePartitions: number, deadLetterPartitions: number) {
    this.#topics = topics
    this.#scorePartitions = scorePartitions
    this.#deadLetterPartitions = deadLetterPartitions
  }

  /** Asks for the partition counts of both topics; rejects with what the writer rejects with. */
  static async create(
    writer: { partitionCount(topic: string): Promise<number> },
    topics: OutputTopics,
  ): Promise<OutputPlan> {
    const [scores, deadLetters] = await Promise.all([
      writer.partitionCount(topics.scores),
      writer.partitionCount(topics.deadLetters),
    ])
    return new OutputPlan(topics, scores, deadLetters)
  }

  /** What a run of an input partition's messages leaves behind; nothing where all were skipped. */
  batches(partition: number, run: readonly InFlightMessage[]): OutgoingBatch[] {
    const scores: OutgoingMessage[] = []
    const deadLetters: OutgoingMessage[] = []
    for (const { outcome } of run) {
      if (outcome?.message === undefined) continue
      if (outcome.kind === 'score') scores.push(outcome.message)
      else deadLetters.push(outcome.message)
    }
    return [
      { topic: this.#topics.scores, partition: partition % this.#scorePartitions, messages: scores },
      {
        topic: this.#topics.deadLetters,
        partition: partition % this.#deadLetterPartitions,
        messages: deadLetters,
      },
    ].filter(({ messages }) => messages.length > 0)
  }
}

/** The two halves of a batch that is larger than its topic takes at once. */
export function halves(batch: OutgoingBatch): [OutgoingBatch, OutgoingBatch] {
  const middle = batch.messages.length >>> 1
  return [
    { ...batch, messages: batch.messages.slice(0, middle) },
    { ...batch, messages: batch.messages.slice(middle) },
  ]
}
