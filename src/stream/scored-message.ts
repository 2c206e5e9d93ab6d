import type { MessageHeaders } from '../formats/message.ts'
import { eventIdOf } from '../formats/text-value.ts'
import { messageBytes, type InFlightMessage, type Outcome } from './partition-stream.ts'
import type { FormatPorts, PipelineMetrics, Scorer } from './ports.ts'

/**
 * Turns pooled logits of one scorer into the message to publish: decides, encodes, keeps key and headers. All that an
 * event says of its model comes from here, so it is of one model.
 */
export class ScoreBuilder {
  /** Names all that the logits of a text depend on. */
  readonly scoredBy: string
  readonly #scorer: Scorer
  readonly #encodeScores: FormatPorts['encodeScores']
  readonly #metrics: PipelineMetrics
  readonly #model: string
  readonly #modelHeader: Buffer
  readonly #headersOfPlainMessage: MessageHeaders

  constructor(scorer: Scorer, encodeScores: FormatPorts['encodeScores'], metrics: PipelineMetrics) {
    this.#scorer = scorer
    this.#encodeScores = encodeScores
    this.#metrics = metrics
    const { name, version, digest, precision } = scorer.model
    this.scoredBy = `${digest} ${precision} ${scorer.maxTokens}`
    this.#model = `${name}@${version}`
    this.#modelHeader = Buffer.from(this.#model)
    // Most messages have no headers: they share one object instead of a copy each.
    this.#headersOfPlainMessage = { 'labelstream-model': this.#modelHeader }
  }

  /** `nowMs`: wall clock, becomes `scoredAt`. */
  build(message: InFlightMessage, nowMs: number): Outcome {
    const { source } = message
    const { model, labels } = this.#scorer
    const { scores, decided } = this.#scorer.decide(message.logits ?? new Float32Array(labels.length))
    message.logits = undefined
    this.#metrics.scores(labels, scores)
    for (const label of decided) this.#metrics.decided(label)
    const { topic, partition, offset, timestampMs } = source
    const value = this.#encodeScores({
      eventId: eventIdOf(source),
      id: message.id,
      source: { topic, partition, offset, timestamp: timestampMs },
      model,
      scores: { names: labels, values: scores },
      labels: decided,
      tokens: message.tokens,
      windows: message.windows,
      truncated: message.truncated,
      scoredAt: nowMs,
    })
    const outgoing = { key: source.key, value, headers: this.#headers(source.headers) }
    const sizeBytes = messageBytes(outgoing)
    return { kind: 'score', sizeBytes, message: outgoing, model: this.#model, reason: undefined }
  }

  #headers(headers: MessageHeaders): MessageHeaders {
    for (const _ in headers) return { ...headers, 'labelstream-model': this.#modelHeader }
    return this.#headersOfPlainMessage
  }
}
