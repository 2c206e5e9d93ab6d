import type { BoundCounter, BoundHistogram, Metrics } from './metrics.ts'
import type { RetryLog } from './retry-log.ts'

/** Where a message came from. */
export interface SourcePosition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Called at the acknowledgement of each message, with the time since it was read. */
export type OnEndToEnd = (seconds: number, source: SourcePosition) => void

/** The events of a stream as metrics, with labels bound once. Its methods are what the stream room asks for. */
export class StreamMetrics {
  readonly #metrics: Metrics
  readonly #counters = new Map<string, BoundCounter>()
  #scoreLabels: readonly string[] = []
  /** By the place of the label. */
  #scores: readonly BoundHistogram[] = []
  readonly #published: BoundCounter
  readonly #rebalances: BoundCounter
  readonly #cacheHits: BoundCounter
  readonly #batchTexts: BoundHistogram
  readonly #batchPaddedTokens: BoundHistogram
  readonly #inferenceSeconds: BoundHistogram
  readonly #tokenizeSeconds: BoundHistogram
  readonly #queueWaitSeconds: BoundHistogram
  readonly #endToEndSeconds: BoundHistogram
  readonly #retryLog: RetryLog | undefined
  readonly #onEndToEnd: OnEndToEnd | undefined
  #paddedTokens = 0
  #realTokens = 0

  /** `onEndToEnd` hears every time to the acknowledgement as well: for exact percentiles. */
  constructor(metrics: Metrics, onEndToEnd?: OnEndToEnd, retryLog?: RetryLog) {
    this.#metrics = metrics
    this.#retryLog = retryLog
    this.#onEndToEnd = onEndToEnd
    this.#published = metrics.counter('published_total', {})
    this.#rebalances = metrics.counter('rebalances_total', {})
    this.#cacheHits = metrics.counter('cache_hits_total', {})
    this.#batchTexts = metrics.histogram('batch_texts', {})
    this.#batchPaddedTokens = metrics.histogram('batch_padded_tokens', {})
    this.#inferenceSeconds = metrics.histogram('inference_seconds', {})
    this.#tokenizeSeconds = metrics.histogram('tokenize_seconds', {})
    this.#queueWaitSeconds = metrics.histogram('queue_wait_seconds', {})
    this.#endToEndSeconds = metrics.histogram('end_to_end_seconds', {})
  }

  consumed(topic: string, count: number): void {
    this.#counter(`consumed ${topic}`, () => this.#metrics.counter('consumed_total', { topic })).inc(count)
  }

  scored(model: string, count: number): void {
    this.#counter(`scored ${model}`, () => this.#metrics.counter('scored_total', { model })).inc(count)
    this.#published.inc(count)
  }

  skipped(topic: string, count: number): void {
    this.#counter(`skipped ${topic}`, () => this.#metrics.counter('skipped_total', { topic })).inc(count)
  }

  deadLettered(reason: string): void {
    this.#counter(`dead ${reason}`, () => this.#metrics.counter('dead_letters_total', { reason })).inc()
  }

  batch(batch: {
    reason: string
    texts: number
    paddedTokens: number
    realTokens: number
    seconds: number
  }): void {
    const { reason } = batch
    this.#counter(`batch ${reason}`, () => this.#metrics.counter('batches_total', { reason })).inc()
    this.#batchTexts.observe(batch.texts)
    this.#batchPaddedTokens.observe(batch.paddedTokens)
    this.#inferenceSeconds.observe(batch.seconds)
    this.#paddedTokens += batch.paddedTokens
    this.#realTokens += batch.realTokens
    this.#metrics.setGauge('padding_share', {}, 1 - this.#realTokens / this.#paddedTokens)
  }

  tokenized(seconds: number): void {
    this.#tokenizeSeconds.observe(seconds)
  }

  queueWait(seconds: number): void {
    this.#queueWaitSeconds.observe(seconds)
  }

  endToEnd(seconds: number, source: SourcePosition): void {
    this.#endToEndSeconds.observe(seconds)
    this.#onEndToEnd?.(seconds, source)
  }

  inFlightBytes(bytes: number): void {
    this.#metrics.setGauge('in_flight_bytes', {}, bytes)
  }

  lag(topic: string, partition: number, messages: number): void {
    this.#metrics.setGauge('consumer_lag', { topic, partition: String(partition) }, messages)
  }

  committed(topic: string, partition: number, offset: number): void {
    this.#metrics.setGauge('committed_offset', { topic, partition: String(partition) }, offset)
  }

  rebalance(): void {
    this.#rebalances.inc()
    this.#metrics.resetGauge('consumer_lag')
    this.#metrics.resetGauge('committed_offset')
  }

  retried(code: string, message: string): void {
    this.#counter(`retry ${code}`, () => this.#metrics.counter('retries_total', { code })).inc()
    this.#retryLog?.retried(code, message)
  }

  scores(labels: readonly string[], probabilities: Float32Array): void {
    if (labels !== this.#scoreLabels) {
      this.#scoreLabels = labels
      this.#scores = labels.map((label) => this.#metrics.histogram('label_score', { label }))
    }
    for (let index = 0; index < probabilities.length; index++) {
      this.#scores[index]?.observe(probabilities[index] ?? 0)
    }
  }

  decided(label: string): void {
    this.#counter(`decided ${label}`, () => this.#metrics.counter('label_decisions_total', { label })).inc()
  }

  cacheHit(): void {
    this.#cacheHits.inc()
  }

  inferenceRestarted(reason: 'crashed' | 'hung'): void {
    this.#counter(`restart ${reason}`, () =>
      this.#metrics.counter('inference_restarts_total', { reason }),
    ).inc()
  }

  transaction(result: 'committed' | 'failed' | 'fenced'): void {
    this.#counter(`transaction ${result}`, () =>
      this.#metrics.counter('transactions_total', { result }),
    ).inc()
  }

  #counter(key: string, create: () => BoundCounter): BoundCounter {
    let counter = this.#counters.get(key)
    if (counter === undefined) {
      counter = create()
      this.#counters.set(key, counter)
    }
    return counter
  }
}
