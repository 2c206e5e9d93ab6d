import { type Matrix, isPositive, knownCells } from './matrix.ts'

/** Turns a logit into a probability: sigmoid(slope x logit + intercept). A temperature T is slope 1/T, intercept 0. */
export interface Calibrator {
  readonly slope: number
  readonly intercept: number
}

export type CalibrationKind = 'none' | 'temperature' | 'platt'

export const identityCalibrator: Calibrator = { slope: 1, intercept: 0 }

/** The logistic function, without overflow on either side. */
export function sigmoid(logit: number): number {
  if (logit >= 0) return 1 / (1 + Math.exp(-logit))
  const power = Math.exp(logit)
  return power / (1 + power)
}

/** Calibrated probabilities of `[rows, labels]` logits, one calibrator a column. */
export function calibrate(logits: Matrix, calibrators: readonly Calibrator[]): Matrix {
  const values = Float32Array.from(logits.values, (logit, cell) => {
    const { slope, intercept } = calibrators[cell % logits.columns] ?? identityCalibrator
    return sigmoid(slope * logit + intercept)
  })
  return { rows: logits.rows, columns: logits.columns, values }
}

/**
 * One calibrator a label, fitted on held-out `[rows, labels]` logits.
 *
 * temperature: one temperature for all labels (Guo et al. 2017). platt: slope and intercept a label (Platt 1999);
 * a label with fewer than `minPositives` positives or negatives takes the temperature instead.
 */
export function fitCalibrators(
  logits: Matrix,
  targets: Matrix,
  kind: CalibrationKind,
  minPositives = 8,
): Calibrator[] {
  if (kind === 'none') return Array.from({ length: logits.columns }, () => identityCalibrator)
  const cells = cellsByLabel(logits, targets)
  const shared = fitTemperature(cells)
  return cells.map((cell) => {
    const scarce = cell.positives < minPositives || cell.scores.length - cell.positives < minPositives
    if (kind === 'temperature' || scarce) return shared
    return upright(fitPlatt(cell), shared)
  })
}

/** A head that learned nothing of a label can fit best upside down, which would only be noise. */
const upright = (fitted: Calibrator, other: Calibrator): Calibrator => (fitted.slope > 0 ? fitted : other)

/**
 * Probabilities of `[rows, labels]` logits by Platt's calibrators, fitted on these very rows and held near to the
 * temperature of all labels: the fewer rows a label has, the nearer. They say more than the temperature where a label is
 * scored too high or too low throughout, and where there is little to fit they are not noise as Platt's own are.
 */
export function expectedProbabilities(logits: Matrix, targets: Matrix): Matrix {
  const columns = cellsByLabel(logits, targets)
  const shared = fitTemperature(columns)
  const prior = { slope: shared.slope, variance: plattPriorVariance }
  return calibrate(
    logits,
    columns.map((cells) => upright(fitPlatt(cells, prior), shared)),
  )
}

/** Of slope / shared slope and of the intercept, where it weighs as much as 40 rows that are undecided (1 / 4 each). */
const plattPriorVariance = 0.1

/** The known cells of a label. */
interface Cells {
  readonly scores: Float32Array
  /** As `smoothed` has them. */
  readonly targets: Float64Array
  readonly positives: number
}

const cellsByLabel = (logits: Matrix, targets: Matrix): Cells[] =>
  Array.from({ length: logits.columns }, (_, column) => {
    const { scores, targets: known } = knownCells(logits, targets, column)
    const positives = known.reduce((count, target) => count + (isPositive(target) ? 1 : 0), 0)
    return { scores, targets: smoothed(known), positives }
  })

/** Normal around a slope and an intercept of 0. */
interface CalibratorPrior {
  readonly slope: number
  /** Of slope / prior slope and of the intercept. */
  readonly variance: number
}

/**
 * Platt's regularised targets: (N+ + 1)/(N+ + 2) for positives and 1/(N- + 2) for negatives. They keep the fit
 * finite on perfectly separated rows. A soft target lies between the two in proportion.
 */
function smoothed(targets: Float32Array): Float64Array {
  const positives = targets.reduce((sum, target) => sum + target, 0)
  const high = (positives + 1) / (positives + 2)
  const low = 1 / (targets.length - positives + 2)
  return Float64Array.from(targets, (target) => low + target * (high - low))
}

/**
 * Newton's method with backtracking on slope and intercept (Lin, Lin, Weng 2007, algorithm 1); the likeliest ones under the
 * prior, where there is one.
 */
function fitPlatt(
  { scores, targets }: Pick<Cells, 'scores' | 'targets'>,
  prior?: CalibratorPrior,
): Calibrator {
  const ridge = 1e-12
  const targetMean = targets.reduce((sum, target) => sum + target, 0) / targets.length
  const [slopePull, interceptPull] =
    prior === undefined ? [0, 0] : [1 / (prior.variance * prior.slope ** 2), 1 / prior.variance]
  const priorSlope = prior?.slope ?? 0
  const lossAt = (slope: number, intercept: number): number =>
    crossEntropy([{ scores, targets }], slope, intercept) +
    (slopePull * (slope - priorSlope) ** 2 + interceptPull * intercept ** 2) / 2
  let slope = priorSlope
  let intercept = prior === undefined ? Math.log(targetMean / (1 - targetMean)) : 0
  let loss = lossAt(slope, intercept)
  for (let iteration = 0; iteration < 100; iteration++) {
    let gradientSlope = slopePull * (slope - priorSlope)
    let gradientIntercept = interceptPull * intercept
    let curveSlope = ridge + slopePull
    let curveBoth = 0
    let curveIntercept = ridge + interceptPull
    scores.forEach((score, index) => {
      const probability = sigmoid(slope * score + intercept)
      const error = probability - (targets[index] ?? 0)
      const curvature = probability * (1 - probability)
      gradientSlope += error * score
      gradientIntercept += error
      curveSlope += curvature * score * score
      curveBoth += curvature * score
      curveIntercept += curvature
    })
    if (Math.abs(gradientSlope) < 1e-7 && Math.abs(gradientIntercept) < 1e-7) break
    const determinant = curveSlope * curveIntercept - curveBoth * curveBoth
    const stepSlope = (curveIntercept * gradientSlope - curveBoth * gradientIntercept) / determinant
    const stepIntercept = (curveSlope * gradientIntercept - curveBoth * gradientSlope) / determinant
    const descent = gradientSlope * stepSlope + gradientIntercept * stepIntercept
    let size = 1
    let reached = loss
    while (size >= 1e-10) {
      reached = lossAt(slope - size * stepSlope, intercept - size * stepIntercept)
      if (reached < loss - 1e-4 * size * descent) break
      size /= 2
    }
    if (size < 1e-10) break
    slope -= size * stepSlope
    intercept -= size * stepIntercept
    loss = reached
  }
  return { slope, intercept }
}

/** One slope for all labels, by the same method; kept above 0.01 so that the order of scores stays. */
function fitTemperature(columns: readonly Cells[]): Calibrator {
  let slope = 1
  let loss = crossEntropy(columns, slope, 0)
  for (let iteration = 0; iteration < 100; iteration++) {
    let gradient = 0
    let curve = 1e-12
    for (const { scores, targets } of columns) {
      scores.forEach((score, index) => {
        const probability = sigmoid(slope * score)
        gradient += (probability - (targets[index] ?? 0)) * score
        curve += probability * (1 - probability) * score * score
      })
    }
    if (Math.abs(gradient) < 1e-7) break
    let size = 1
    let reached = loss
    while (size >= 1e-10) {
      const trial = slope - (size * gradient) / curve
      reached = crossEntropy(columns, trial, 0)
      if (trial > 0.01 && reached < loss) break
      size /= 2
    }
    if (size < 1e-10) break
    slope -= (size * gradient) / curve
    loss = reached
  }
  return { slope, intercept: 0 }
}

/** Sum of the binary cross-entropies, in the form that neither overflows nor takes the logarithm of 0. */
function crossEntropy(
  columns: readonly Pick<Cells, 'scores' | 'targets'>[],
  slope: number,
  intercept: number,
): number {
  let sum = 0
  for (const { scores, targets } of columns) {
    scores.forEach((score, index) => {
      const logit = slope * score + intercept
      sum += Math.max(logit, 0) - logit * (targets[index] ?? 0) + Math.log1p(Math.exp(-Math.abs(logit)))
    })
  }
  return sum
}
