import { monotonicMs } from '../core/clock.ts'
import { LabelstreamError } from '../core/errors.ts'
import { poolMaximum } from '../models/text-runner.ts'
import type { DeadLetterStage } from '../formats/dead-letter.ts'
import { assertBatchLimits, nextDispatch, type BatchLimits } from './batcher.ts'
import { notScorable } from './bisection.ts'
import { Lane } from './lane.ts'
import type { InFlightMessage } from './partition-stream.ts'
import type { InferenceResult, PipelineMetrics, Scorer } from './ports.ts'
import type { Tokenized } from './tokenizing.ts'
import { WaitingWindows, type Waiting } from './waiting.ts'

export interface ScoringOptions {
  readonly scorer: Scorer
  readonly metrics: PipelineMetrics
  readonly limits: BatchLimits
  /** Batches at one inference process at once: one at work and the next ones ready, so that it never waits. */
  readonly inflightBatches: number
}

export interface ScoringEffects {
  /** More windows are on their way. */
  readonly moreExpected: () => boolean
  /**
   * All windows of the text are scored; `message.logits` holds the pooled logits. Returns other messages that have
   * their outcome by that.
   */
  readonly scored: (message: InFlightMessage) => readonly InFlightMessage[]
  readonly dead: (message: InFlightMessage, stage: DeadLetterStage, error: LabelstreamError) => void
  /** A batch was taken in; some of these messages may have their outcome now. */
  readonly settled: (messages: readonly InFlightMessage[]) => void
  readonly failed: (error: LabelstreamError) => void
}

interface Row extends Waiting {
  readonly message: InFlightMessage
}

/** The windows of one scorer: waiting, at the inference process, and back as pooled logits. */
export class Scoring {
  readonly #options: ScoringOptions
  readonly #effects: ScoringEffects
  readonly #waiting = new WaitingWindows<Row>()
  readonly #lane: Lane<Row, InferenceResult>
  readonly #processes: number
  #atWork = 0
  #draining = false
  #timer: NodeJS.Timeout | undefined
  #timerAtMs = Infinity
  #paddedTokens = 0
  #realTokens = 0

  /** Throws SETTING_INVALID when one window could exceed the token budget. */
  constructor(options: ScoringOptions, effects: ScoringEffects) {
    assertBatchLimits(options.limits, options.scorer.maxTokens)
    this.#options = options
    this.#effects = effects
    const { scorer, metrics } = options
    this.#processes = scorer.inference.processes ?? 1
    this.#lane = new Lane(options.inflightBatches * this.#processes, {
      run: (rows) => this.#run(rows.map((row) => row.tokens)),
      probe: async () => {
        const [text] = await scorer.tokenizer.tokenize([scorer.knownGoodText])
        await this.#run(text?.windows ?? [])
      },
      live: (row) => row.message.open,
      done: (rows, result, tag) => {
        this.#takeIn(rows, result, tag)
      },
      condemned: (row, error) => {
        effects.dead(row.message, 'inference', notScorable(row.message.source, error))
        effects.settled([row.message])
      },
      retried: (error) => {
        metrics.retried(error.code, error.message)
      },
      failed: effects.failed,
      freed: () => {
        this.pump()
        effects.settled([])
      },
    })
  }

  /** Windows that wait for a batch. */
  get waiting(): number {
    return this.#waiting.size
  }

  get idle(): boolean {
    return this.#waiting.size === 0 && this.#lane.idle
  }

  get paddedTokens(): number {
    return this.#paddedTokens
  }

  get realTokens(): number {
    return this.#realTokens
  }

  add(texts: readonly Tokenized[]): void {
    const arrivedMs = monotonicMs()
    for (const { message, text } of texts) {
      message.tokens = text.tokens
      message.truncated = text.truncated
      message.windows = text.windows.length
      message.windowsLeft = text.windows.length
      if (text.windows.length === 0) {
        throw new LabelstreamError('INTERNAL', `the tokenizer made no window of offset ${message.offset}`)
      }
      for (const tokens of text.windows) this.#waiting.add({ tokens, arrivedMs, message })
    }
    this.pump()
  }

  /** Dispatches what can go now, and wakes up again when the oldest window is due. */
  pump(): void {
    const { limits, metrics } = this.#options
    while (this.#lane.free && this.#waiting.size > 0) {
      const now = monotonicMs()
      const next = nextDispatch(this.#waiting.buckets(), now, limits, {
        moreExpected: this.#effects.moreExpected(),
        workerIdle: this.#atWork < this.#processes,
        draining: this.#draining,
      })
      if ('waitMs' in next) {
        this.#wakeUpAt(now + next.waitMs)
        return
      }
      const rows = this.#waiting.take(next.dispatch.longestTokens, next.dispatch.rows)
      for (const row of rows) metrics.queueWait((now - row.arrivedMs) / 1000)
      this.#lane.start(rows, next.reason)
    }
  }

  /** From now on nothing waits for its batch to fill. */
  drain(): void {
    this.#draining = true
    this.pump()
  }

  /** Forgets what waits: its epoch ended. */
  drop(): void {
    this.#waiting.clear()
  }

  close(): void {
    this.drop()
    this.#lane.close()
    clearTimeout(this.#timer)
  }

  async #run(windows: readonly Int32Array[]): Promise<InferenceResult> {
    this.#atWork++
    try {
      const result = await this.#options.scorer.inference.run(windows)
      assertUsable(result, windows.length, this.#options.scorer.labels.length)
      return result
    } finally {
      this.#atWork--
    }
  }

  #takeIn(rows: readonly Row[], result: InferenceResult, reason: string): void {
    let realTokens = 0
    for (const row of rows) realTokens += row.tokens.length
    this.#realTokens += realTokens
    this.#paddedTokens += result.paddedTokens
    const { paddedTokens, seconds } = result
    this.#options.metrics.batch({ reason, texts: rows.length, paddedTokens, realTokens, seconds })
    const settled: InFlightMessage[] = []
    for (let index = 0; index < rows.length; index++) {
      const message = rows[index]?.message
      if (message === undefined || !message.open) continue
      pool(message, result.values.subarray(index * result.width, (index + 1) * result.width))
      if (message.windowsLeft > 0) continue
      settled.push(message, ...this.#effects.scored(message))
    }
    this.#effects.settled(settled)
  }

  #wakeUpAt(atMs: number): void {
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return
    clearTimeout(this.#timer)
    this.#timerAtMs = atMs
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.pump()
      },
      Math.max(0, Math.ceil(atMs - monotonicMs())),
    )
  }
}

/** Windows of one text are pooled by the maximum of each label's logit. */
function pool(message: InFlightMessage, logits: Float32Array): void {
  message.windowsLeft--
  const pooled = message.logits
  if (pooled === undefined) {
    // The usual text has one window and is decided at once: no copy. Others outlive the batch's buffer.
    message.logits = message.windowsLeft === 0 ? logits : logits.slice()
    return
  }
  poolMaximum(pooled, logits)
}

/** NaN from a broken model or accelerator must not become a score, nor silently a dead letter. */
function assertUsable(result: InferenceResult, rows: number, labels: number): void {
  if (result.width !== labels || result.values.length < rows * labels) {
    throw new LabelstreamError(
      'MODEL_CORRUPT',
      `the inference session returned ${result.values.length} values in rows of ${result.width} for ${rows} windows; the model names ${labels} labels`,
    )
  }
  for (let index = 0; index < rows * labels; index++) {
    if (!Number.isFinite(result.values[index])) {
      throw new LabelstreamError(
        'INFERENCE_FAILED',
        'the inference session returned a score that is not a number',
      )
    }
  }
}
