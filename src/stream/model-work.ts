import type { LabelstreamError } from '../core/errors.ts'
import type { DeadLetterStage } from '../formats/dead-letter.ts'
import type { BatchLimits } from './batcher.ts'
import type { Outcomes } from './outcomes.ts'
import type { InFlightMessage } from './partition-stream.ts'
import type { FormatPorts, PipelineMetrics, Scorer } from './ports.ts'
import { ScoreBuilder } from './scored-message.ts'
import { Scoring } from './scoring.ts'
import { type DecodedText, Tokenizing } from './tokenizing.ts'

export interface ModelWorkOptions {
  readonly metrics: PipelineMetrics
  readonly encodeScores: FormatPorts['encodeScores']
  readonly outcomes: Outcomes
  readonly limits: BatchLimits
  /** Batches at one inference process at once. */
  readonly inflightBatches: number
  /** Calls to the tokenizer at once. */
  readonly chunksAtOnce: number
}

export interface ModelWorkEffects {
  /** More texts are on their way to this model. */
  readonly moreExpected: () => boolean
  readonly dead: (message: InFlightMessage, stage: DeadLetterStage, error: LabelstreamError) => void
  /** Work came to its end, well or not: outcomes may be known, and room may be there. */
  readonly settled: (messages: readonly InFlightMessage[]) => void
  readonly failed: (error: LabelstreamError) => void
}

/**
 * The texts given to one model version, from tokenising to the event. Nothing of it is shared with another version:
 * a text is tokenised, scored, decided and signed by the model that it was given to, whichever serves by then.
 */
export class ModelWork {
  readonly scorer: Scorer
  readonly #outcomes: Outcomes
  readonly #builder: ScoreBuilder
  readonly #tokenizing: Tokenizing
  readonly #scoring: Scoring

  /** Throws SETTING_INVALID when one window of the model could exceed the token budget. */
  constructor(scorer: Scorer, options: ModelWorkOptions, effects: ModelWorkEffects) {
    const { metrics, encodeScores, outcomes, limits, inflightBatches, chunksAtOnce } = options
    const { dead, settled, failed } = effects
    this.scorer = scorer
    this.#outcomes = outcomes
    this.#builder = new ScoreBuilder(scorer, encodeScores, metrics)
    this.#scoring = new Scoring(
      { scorer, metrics, limits, inflightBatches },
      {
        moreExpected: () => !this.#tokenizing.idle || effects.moreExpected(),
        scored: (message) => outcomes.scored(message, this.#builder),
        dead,
        settled,
        failed,
      },
    )
    this.#tokenizing = new Tokenizing(
      { scorer, metrics, chunksAtOnce },
      {
        tokenized: (texts) => {
          this.#scoring.add(texts)
        },
        dead,
        settled,
        failed,
      },
    )
  }

  /** Whether another chunk can be tokenised now. */
  get free(): boolean {
    return this.#tokenizing.free
  }

  /** Windows that wait for a batch. */
  get waiting(): number {
    return this.#scoring.waiting
  }

  get idle(): boolean {
    return this.#tokenizing.idle && this.#scoring.idle
  }

  get paddedTokens(): number {
    return this.#scoring.paddedTokens
  }

  get realTokens(): number {
    return this.#scoring.realTokens
  }

  /** Takes texts in, and returns how many of them are to be scored. */
  take(texts: readonly DecodedText[]): number {
    const toScore = texts.filter(({ message, text }) => this.#outcomes.toScore(message, text, this.#builder))
    if (toScore.length > 0) this.#tokenizing.start(toScore)
    return toScore.length
  }

  pump(): void {
    this.#scoring.pump()
  }

  /** From now on nothing waits for its batch to fill. */
  drain(): void {
    this.#scoring.drain()
  }

  /** Forgets what waits: its epoch ended. */
  drop(): void {
    this.#scoring.drop()
  }

  close(): void {
    this.#tokenizing.close()
    this.#scoring.close()
  }
}
