import { LabelstreamError } from '../core/errors.ts'
import type { Matrix } from '../evaluation/matrix.ts'
import type { ClassifierManifest } from './manifest.ts'
import { scoresByLabel } from './score-matrix.ts'

/**
 * Texts whose scores every version records, so that a served model can be checked against the trained one.
 * They are the program's own: a manifest travels, and training texts may be private.
 */
export const goldenTexts: readonly string[] = [
  'Hello.',
  'The meeting has been moved to Thursday at ten.',
  'Can somebody explain to me how this is supposed to work?',
  'I tried it twice, it failed twice, and nobody answers the phone. Very disappointing!',
  'Café Zoë opens at 8:30 — bring your own cup 😀',
  'Start small, write down what you change, and ask early when something looks odd. Most problems are easier to solve on the first day than in the third week, and nobody expects you to know everything from the beginning.',
]

export type GoldenScores = ClassifierManifest['golden']

/** Golden texts with their scores by label. */
export const goldenOf = (labels: readonly string[], texts: readonly string[], scores: Matrix): GoldenScores =>
  texts.map((text, row) => ({ text, scores: scoresByLabel(labels, scores, row) }))

/**
 * Throws MODEL_CORRUPT when a served score is further than `tolerance` from the recorded one: the folder would not
 * serve what was trained.
 */
export function checkGolden(
  folder: string,
  golden: GoldenScores,
  labels: readonly string[],
  scores: Matrix,
  tolerance = 1e-3,
): void {
  golden.forEach(({ scores: expected }, row) => {
    labels.forEach((label, column) => {
      const difference = Math.abs(
        (scores.values[row * scores.columns + column] ?? NaN) - (expected[label] ?? NaN),
      )
      if (difference <= tolerance) return
      throw new LabelstreamError(
        'MODEL_CORRUPT',
        `${folder}: golden text ${row} scores ${difference.toFixed(4)} off for label ${label}`,
      )
    })
  })
}
