import { seededRandom } from '../core/random.ts'
import type { FloatArray, FloatArrays } from '../runtime/training-messages.ts'
import { biasCorrections } from './adamw.ts'
import type { HeadHyperparameters, HeadRows } from './fit-head.ts'
import { learningRateAt } from './schedule.ts'

/** Embeddings, targets and mask of the rows of one batch. */
export function rowFeeds({ embeddings, targets }: HeadRows, rows: readonly number[]): FloatArrays {
  const width = embeddings.columns
  const labels = targets.columns
  const embedding = new Float32Array(rows.length * width)
  const known = new Float32Array(rows.length * labels)
  const mask = new Float32Array(rows.length * labels)
  rows.forEach((row, place) => {
    embedding.set(embeddings.values.subarray(row * width, (row + 1) * width), place * width)
    for (let column = 0; column < labels; column++) {
      const target = targets.values[row * labels + column] ?? NaN
      if (Number.isNaN(target)) continue
      known[place * labels + column] = target
      mask[place * labels + column] = 1
    }
  })
  return {
    embedding: { shape: [rows.length, width], values: embedding },
    targets: { shape: [rows.length, labels], values: known },
    mask: { shape: [rows.length, labels], values: mask },
  }
}

/** Dropout masks of one batch, a function of the seed alone: what is kept is scaled by 1 / (1 - rate). */
export function dropoutFeeds(
  widths: readonly number[],
  { rows, rate, seed }: { rows: number; rate: number; seed: number },
): FloatArrays {
  const random = seededRandom(seed)
  const entries = widths.map((width, index): [string, FloatArray] => {
    const values = Float32Array.from({ length: rows * width }, () =>
      random.next() < rate ? 0 : 1 / (1 - rate),
    )
    return [`dropout.${index}`, { shape: [rows, width], values }]
  })
  return Object.fromEntries(entries)
}

/** The scalars of a step, counted from 0. */
export function stepFeeds(
  step: number,
  totalSteps: number,
  { learningRate, warmup }: HeadHyperparameters,
): FloatArrays {
  const scalar = (value: number): FloatArray => ({ shape: [], values: Float32Array.of(value) })
  const [first, second] = biasCorrections(step + 1)
  const warmupSteps = Math.round(totalSteps * warmup)
  return {
    learningRate: scalar(learningRateAt(step, { peak: learningRate, warmupSteps, totalSteps })),
    firstCorrection: scalar(first),
    secondCorrection: scalar(second),
  }
}
