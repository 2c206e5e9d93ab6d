import { wallClockMs } from '../core/clock.ts'
import type { LabelstreamError } from '../core/errors.ts'
import type { DeadLetterStage } from '../formats/dead-letter.ts'
import { messageBytes, type InFlightMessage } from './partition-stream.ts'
import type { FormatPorts, PipelineMetrics } from './ports.ts'
import { ScoreMemory } from './score-memory.ts'
import type { ScoreBuilder } from './scored-message.ts'

/** Gives messages their outcome: scores of their own, scores of an identical text, or a dead letter. */
export class Outcomes {
  readonly #memory: ScoreMemory
  readonly #deadLetter: FormatPorts['deadLetter']
  readonly #metrics: PipelineMetrics

  constructor(formats: FormatPorts, metrics: PipelineMetrics, cacheEntries: number) {
    this.#memory = new ScoreMemory(cacheEntries)
    this.#deadLetter = formats.deadLetter
    this.#metrics = metrics
  }

  /**
   * Whether the text is to be scored by the builder's model; if not, the outcome is known now or comes with another
   * message's.
   */
  toScore(message: InFlightMessage, text: string, builder: ScoreBuilder): boolean {
    const admission = this.#memory.admit(message, text, builder.scoredBy)
    if (admission === 'score') return true
    this.#metrics.cacheHit()
    if (admission === 'known') message.outcome = builder.build(message, wallClockMs())
    return false
  }

  /** The message's logits by the builder's model are known. Returns the others that have their outcome by that. */
  scored(message: InFlightMessage, builder: ScoreBuilder): readonly InFlightMessage[] {
    const alike = this.#memory.scored(message)
    const now = wallClockMs()
    message.outcome = builder.build(message, now)
    for (const other of alike) other.outcome = builder.build(other, now)
    return alike
  }

  /**
   * The message can never be scored. Returns those that waited for its scores: that this one cannot be scored is
   * proven for this one alone, so each of them is to have its own try.
   */
  dead(
    message: InFlightMessage,
    stage: DeadLetterStage,
    error: LabelstreamError,
  ): readonly InFlightMessage[] {
    const outgoing = this.#deadLetter(message.source, stage, error)
    const sizeBytes = messageBytes(outgoing)
    message.outcome = {
      kind: 'deadLetter',
      sizeBytes,
      message: outgoing,
      model: undefined,
      reason: error.code,
    }
    return this.#memory.lost(message)
  }

  /** Forgets who waits for whom: the epoch ended. */
  dropInFlight(): void {
    this.#memory.dropInFlight()
  }
}
