import type { InFlightMessage, PartitionStream } from './partition-stream.ts'
import type { PipelineMetrics } from './ports.ts'

export interface PipelineTotals {
  readonly consumed: number
  readonly scored: number
  readonly deadLettered: number
  readonly skipped: number
  readonly paddedTokens: number
  readonly realTokens: number
  /** Monotonic milliseconds; undefined before the first fetch and the first acknowledgement. */
  readonly firstFetchMs: number | undefined
  readonly lastAckMs: number | undefined
}

/** Counts messages on their way in and out, for the totals and for the metrics alike. */
export class Totals {
  readonly #metrics: PipelineMetrics
  #consumed = 0
  #scored = 0
  #deadLettered = 0
  #skipped = 0
  #firstFetchMs: number | undefined
  #lastAckMs: number | undefined

  constructor(metrics: PipelineMetrics) {
    this.#metrics = metrics
  }

  consumed(topic: string, messages: number, nowMs: number): void {
    if (messages === 0) return
    this.#consumed += messages
    this.#firstFetchMs ??= nowMs
    this.#metrics.consumed(topic, messages)
  }

  acknowledged(stream: PartitionStream, run: readonly InFlightMessage[], nowMs: number): void {
    const scoredBy = new Map<string, number>()
    let scored = 0
    let skipped = 0
    for (const { outcome, readMs, source } of run) {
      if (outcome?.model !== undefined) {
        scoredBy.set(outcome.model, (scoredBy.get(outcome.model) ?? 0) + 1)
        scored++
      } else if (outcome?.kind === 'skip') skipped++
      else this.#metrics.deadLettered(outcome?.reason ?? '')
      this.#metrics.endToEnd((nowMs - readMs) / 1000, source)
    }
    this.#lastAckMs = nowMs
    this.#scored += scored
    this.#skipped += skipped
    this.#deadLettered += run.length - scored - skipped
    for (const [model, count] of scoredBy) this.#metrics.scored(model, count)
    if (skipped > 0) this.#metrics.skipped(stream.topic, skipped)
  }

  snapshot(tokens: { readonly paddedTokens: number; readonly realTokens: number }): PipelineTotals {
    return {
      consumed: this.#consumed,
      scored: this.#scored,
      deadLettered: this.#deadLettered,
      skipped: this.#skipped,
      paddedTokens: tokens.paddedTokens,
      realTokens: tokens.realTokens,
      firstFetchMs: this.#firstFetchMs,
      lastAckMs: this.#lastAckMs,
    }
  }
}
