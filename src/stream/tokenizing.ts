import { monotonicMs } from '../core/clock.ts'
import type { LabelstreamError } from '../core/errors.ts'
import type { DeadLetterStage } from '../formats/dead-letter.ts'
import { notScorable } from './bisection.ts'
import { Lane } from './lane.ts'
import type { InFlightMessage } from './partition-stream.ts'
import type { PipelineMetrics, Scorer, TokenizedWindows } from './ports.ts'

/** A message and the text that was found in it. */
export interface DecodedText {
  readonly message: InFlightMessage
  readonly text: string
}

export interface Tokenized {
  readonly message: InFlightMessage
  readonly text: TokenizedWindows
}

export interface TokenizingOptions {
  readonly scorer: Scorer
  readonly metrics: PipelineMetrics
  /** Calls to the tokenizer at once. */
  readonly chunksAtOnce: number
}

export interface TokenizingEffects {
  readonly tokenized: (texts: readonly Tokenized[]) => void
  readonly dead: (message: InFlightMessage, stage: DeadLetterStage, error: LabelstreamError) => void
  /** A chunk was finished: outcomes may be known, and room may be there. */
  readonly settled: (messages: readonly InFlightMessage[]) => void
  readonly failed: (error: LabelstreamError) => void
}

/** Chunks of texts at one scorer's tokenizer. */
export class Tokenizing {
  readonly #effects: TokenizingEffects
  readonly #lane: Lane<DecodedText, readonly TokenizedWindows[]>

  constructor({ scorer, metrics, chunksAtOnce }: TokenizingOptions, effects: TokenizingEffects) {
    this.#effects = effects
    this.#lane = new Lane(chunksAtOnce, {
      run: async (items) => {
        const startedMs = monotonicMs()
        const results = await scorer.tokenizer.tokenize(items.map((item) => item.text))
        metrics.tokenized((monotonicMs() - startedMs) / 1000)
        return results
      },
      probe: () => scorer.tokenizer.tokenize([scorer.knownGoodText]),
      live: (item) => item.message.open,
      done: (items, results) => {
        this.#deliver(items, results)
      },
      condemned: (item, error) => {
        effects.dead(item.message, 'tokenize', notScorable(item.message.source, error))
        effects.settled([item.message])
      },
      retried: (error) => {
        metrics.retried(error.code, error.message)
      },
      failed: effects.failed,
      freed: () => {
        effects.settled([])
      },
    })
  }

  /** Whether a chunk can be started now. */
  get free(): boolean {
    return this.#lane.free
  }

  /** Nothing is being tokenised or waits to be tried again. */
  get idle(): boolean {
    return this.#lane.idle
  }

  start(texts: readonly DecodedText[]): void {
    this.#lane.start(texts, 'tokenize')
  }

  close(): void {
    this.#lane.close()
  }

  #deliver(items: readonly DecodedText[], results: readonly TokenizedWindows[]): void {
    const texts: Tokenized[] = []
    for (let index = 0; index < items.length; index++) {
      const message = items[index]?.message
      const text = results[index]
      if (message !== undefined && text !== undefined && message.open) texts.push({ message, text })
    }
    this.#effects.tokenized(texts)
  }
}
