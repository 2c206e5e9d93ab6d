import { asLabelstreamError } from '../core/errors.ts'
import type { WriterSchemas } from '../formats/avro-value.ts'
import { decodeInput } from '../formats/input.ts'
import type { SourceMessage } from '../formats/message.ts'
import type { LabelScores } from '../formats/scores.ts'
import { eventIdOf } from '../formats/text-value.ts'
import type { KafkaClient } from '../kafka/connect.ts'
import { readRange } from '../kafka/read-range.ts'
import type { EventOfInput, Rescorer } from '../stream/rescorer.ts'
import type { CommandContext } from './command.ts'
import { inputOptionsOf } from './input-options.ts'

/** Events that are scored again at a time. */
const chunkEvents = 1_024

/** Events of the sample, until there are enough to fetch their inputs and score them again. */
export class SampledEvents {
  readonly #context: CommandContext
  readonly #client: KafkaClient
  readonly #schemas: WriterSchemas
  readonly #rescorer: Rescorer
  #events: LabelScores[] = []

  constructor(context: CommandContext, client: KafkaClient, schemas: WriterSchemas, rescorer: Rescorer) {
    this.#context = context
    this.#client = client
    this.#schemas = schemas
    this.#rescorer = rescorer
  }

  async add(event: LabelScores): Promise<void> {
    if (this.#events.push(event) >= chunkEvents) await this.flush()
  }

  async flush(): Promise<void> {
    const events = this.#events
    this.#events = []
    if (events.length === 0) return
    const inputs = await this.#inputsOf(events)
    const together: EventOfInput[] = []
    for (const event of events) {
      const message = inputs.get(eventIdOf(event.source))
      // retention may have taken it since it was counted
      if (message !== undefined) together.push({ event, input: await this.#decoded(message) })
    }
    await this.#rescorer.rescore(together)
  }

  async #inputsOf(events: readonly LabelScores[]): Promise<ReadonlyMap<string, SourceMessage>> {
    const only = new Map<number, number[]>()
    for (const { source } of events) {
      const offsets = only.get(source.partition)
      if (offsets === undefined) only.set(source.partition, [source.offset])
      else offsets.push(source.offset)
    }
    for (const [partition, offsets] of only)
      only.set(
        partition,
        [...new Set(offsets)].sort((a, b) => a - b),
      )
    const topic = this.#context.settings['input.topic']
    const messages = new Map<string, SourceMessage>()
    for await (const message of readRange(this.#client, topic, { only }))
      messages.set(eventIdOf(message), message)
    return messages
  }

  async #decoded(message: SourceMessage): Promise<EventOfInput['input']> {
    try {
      const input = await decodeInput(message, inputOptionsOf(this.#context.settings), this.#schemas)
      return 'skip' in input ? undefined : input
    } catch (error) {
      if (asLabelstreamError(error).disposition === 'dead-letter') return undefined
      throw error
    }
  }
}
