import { eventIdOf } from '../formats/text-value.ts'
import type { LabelScores } from '../formats/scores.ts'
import type { Decision } from '../models/decision.ts'

/** Which part of an event a re-score contradicts. */
export type Contradiction = 'input' | 'id' | 'windows' | 'label names' | 'scores' | 'labels'

/** A text that was scored again. */
export interface Rescored {
  readonly id: string
  readonly tokens: number
  readonly windows: number
  readonly truncated: boolean
  /** In the order of the decision's labels. */
  readonly scores: Float32Array
}

export interface Comparison {
  /** The largest difference of a label's scores, 0..1; 1 where one of them is no number or is not there. */
  readonly difference: number
  readonly contradiction: Contradiction | undefined
}

/**
 * How far two scores of one text by one version may be from each other, by the precision of the arithmetic. int8
 * without fixed ranges of activations takes its scale from the whole batch (docs/performance.md); undefined for a
 * precision that is not known.
 */
export function scoreBound(precision: string, fixedRanges: boolean): number | undefined {
  if (precision === 'fp32') return 1e-4
  if (precision === 'fp16') return 0.02
  if (precision === 'int8') return fixedRanges ? 1e-3 : 0.25
  return undefined
}

/**
 * Compares an event with its text's new scores by the version that it names. Decided labels must be the same, but
 * for a score within `bound` of its threshold.
 */
export function compareScores(
  event: LabelScores,
  rescored: Rescored,
  decision: Decision,
  bound: number,
): Comparison {
  const { labels } = decision
  const decided = new Set(event.labels)
  const known = labels.filter(({ label }) => Object.hasOwn(event.scores, label)).length
  const sameNames = known === labels.length && Object.keys(event.scores).length === labels.length
  let difference = 0
  let sameLabels = event.labels.every((label) => Object.hasOwn(event.scores, label))
  labels.forEach(({ label, threshold }, column) => {
    const score = rescored.scores[column] ?? NaN
    const apart = Math.abs((event.scores[label] ?? NaN) - score)
    difference = Math.max(difference, Number.isNaN(apart) ? 1 : Math.min(1, apart))
    const clear = Math.abs(score - threshold) > bound
    if (clear && score >= threshold !== decided.has(label)) sameLabels = false
  })
  const contradiction = (): Contradiction | undefined => {
    if (event.id !== rescored.id || event.eventId !== eventIdOf(event.source)) return 'id'
    if (!sameNames) return 'label names'
    const { tokens, windows, truncated } = rescored
    const sameWindows = event.windows === windows && event.tokens === tokens
    if (!sameWindows || event.truncated !== truncated) return 'windows'
    if (difference > bound) return 'scores'
    return sameLabels ? undefined : 'labels'
  }
  return { difference, contradiction: contradiction() }
}
