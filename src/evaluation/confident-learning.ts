import { type Matrix, isPositive } from './matrix.ts'

/** One known cell whose given label is confidently contradicted. */
export interface Disagreement {
  readonly row: number
  readonly column: number
  /** The target as it was given, 0..1. */
  readonly given: number
  /** Out-of-fold probability that the label applies. */
  readonly predicted: number
}

/** What the given labels of one column look like. */
export interface LabelNoise {
  /** False where there are too few positives or negatives to say anything; then nothing is counted. */
  readonly judged: boolean
  readonly positives: number
  readonly negatives: number
  /** Rows that look as if they lacked the label. */
  readonly missing: number
  /** Rows that look as if they had it wrongly. */
  readonly wronglyGiven: number
}

export interface NoiseFindings {
  /** By column. */
  readonly labels: readonly LabelNoise[]
  /** Furthest from what was given first; equal ones by row. */
  readonly disagreements: readonly Disagreement[]
}

/**
 * Confident learning (Northcutt, Jiang and Chuang 2021), for each label as a question of its own with the answers yes
 * and no.
 *
 * `predicted` are `[rows, labels]` probabilities from models that did not see the row (out of fold), `targets` the given
 * labels; unknown ones (NaN) are left out, soft ones count as yes from 0.5 on. A row is confidently yes when its
 * probability reaches the mean over the rows given as yes, confidently no likewise: a model that is unsure of a label
 * has a lower bar to reach. Disagreements are the cells off the diagonal of the confident joint whose likelier answer is
 * not the given one either: without that, rare labels, whose probabilities are all low, would be missing everywhere.
 * A model's own mistakes are among them, so they are an upper estimate; the first ones are the surest.
 */
export function confidentDisagreements(predicted: Matrix, targets: Matrix, minRows = 10): NoiseFindings {
  const labels: LabelNoise[] = []
  const disagreements: Disagreement[] = []
  for (let column = 0; column < predicted.columns; column++) {
    const cells = knownCellsOf(predicted, targets, column)
    const yes = cells.filter(({ given }) => isPositive(given))
    const no = cells.filter(({ given }) => !isPositive(given))
    const judged = Math.min(yes.length, no.length) >= minRows
    const yesBar = Math.max(0.5, mean(yes.map((cell) => cell.predicted)))
    const noBar = Math.max(0.5, mean(no.map((cell) => 1 - cell.predicted)))
    const missing = judged ? no.filter((cell) => cell.predicted >= yesBar) : []
    const wronglyGiven = judged ? yes.filter((cell) => 1 - cell.predicted >= noBar) : []
    labels.push({
      judged,
      positives: yes.length,
      negatives: no.length,
      missing: missing.length,
      wronglyGiven: wronglyGiven.length,
    })
    for (const cell of [...missing, ...wronglyGiven]) disagreements.push({ ...cell, column })
  }
  return { labels, disagreements: disagreements.sort((a, b) => distance(b) - distance(a) || a.row - b.row) }
}

type Cell = Omit<Disagreement, 'column'>

function knownCellsOf(predicted: Matrix, targets: Matrix, column: number): readonly Cell[] {
  const cells: Cell[] = []
  for (let row = 0; row < targets.rows; row++) {
    const given = targets.values[row * targets.columns + column] ?? NaN
    if (Number.isNaN(given)) continue
    cells.push({ row, given, predicted: predicted.values[row * predicted.columns + column] ?? 0 })
  }
  return cells
}

/** One less the self-confidence, where the given label is hard. */
const distance = ({ given, predicted }: Disagreement): number => Math.abs(given - predicted)

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
