import { wallClockMs } from '../core/clock.ts'
import type { LabelstreamError } from '../core/errors.ts'
import type { DeadLetterStage } from '../formats/dead-letter.ts'
import { messageBytes, type InFlightMessage } from './partition-stream.ts'
import type { FormatPorts, PipelineMetrics, Scorer } from './ports.ts'
import { ScoreMemory } from './score-memory.ts'
import { ScoreBuilder } from './scored-message.ts'

/** Gives messages their outcome: scores of their own, scores of an identical text, or a dead letter. */
export class Outcomes {
  readonly #builder: ScoreBuilder
  readonly #memory: ScoreMemory
  readonly #deadLetter: FormatPorts['deadLetter']
  readonly #metrics: PipelineMetrics

  constructor(scorer: Scorer, formats: FormatPorts, metrics: PipelineMetrics, cacheEntries: number) {
    this.#builder = new ScoreBuilder(scorer, formats.encodeScores, metrics)
    this.#memory = new ScoreMemory(cacheEntries)
    this.#deadLetter = formats.deadLetter
    this.#metrics = metrics
  }

  /** Whether the text is to be scored; if not, the outcome is known now or comes with another message's. */
  toScore(message: InFlightMessage, text: string): boolean {
    const admission = this.#memory.admit(message, text)
    if (admission === 'score') return true
    this.#metrics.cacheHit()
    if (admission === 'known') message.outcome = this.#builder.build(message, wallClockMs())
    return false
  }

  /** The message's logits are known. Returns the others that have their outcome by that. */
  scored(message: InFlightMessage): readonly InFlightMessage[] {
    const alike = this.#memory.scored(message)
    const now = wallClockMs()
    message.outcome = this.#builder.build(message, now)
    for (const other of alike) other.outcome = this.#builder.build(other, now)
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
    message.outcome = { kind: 'deadLetter', sizeBytes, message: outgoing, reason: error.code }
    return this.#memory.lost(message)
  }

  /** Forgets who waits for whom: the epoch ended. */
  dropInFlight(): void {
    this.#memory.dropInFlight()
  }
}
