import { seededRandom } from '../core/random.ts'
import type { ParameterShapes } from '../encoders/weights.ts'
import type { Matrix } from '../evaluation/matrix.ts'
import { sizeOf } from './flat-parameters.ts'
import { derivedSeed } from './schedule.ts'

/**
 * Weights to start from: dense layers uniform in +-sqrt(6 / (in + out)) (Glorot and Bengio 2010), the classifier
 * normal with deviation 0.02, its bias the log-odds of each label, so that the first loss is that of the priors.
 */
export function initialHead(
  shapes: ParameterShapes,
  targets: Matrix,
  seed: number,
): Map<string, Float32Array> {
  const random = seededRandom(derivedSeed(seed, 'initial'))
  return new Map(
    [...shapes].map(([name, shape]): [string, Float32Array] => {
      if (name === 'classifier.bias') return [name, labelLogOdds(targets)]
      const values = new Float32Array(sizeOf(shape))
      if (name === 'classifier.weight') return [name, values.map(() => 0.02 * random.normal())]
      if (!name.endsWith('.weight')) return [name, values]
      const bound = Math.sqrt(6 / ((shape[0] ?? 1) + (shape[1] ?? 1)))
      return [name, values.map(() => bound * (2 * random.next() - 1))]
    }),
  )
}

/** log(p / (1 - p)) of each label's share; half a row on each side keeps labels without positives finite. */
function labelLogOdds(targets: Matrix): Float32Array {
  const { positives, known } = labelCounts(targets)
  return Float32Array.from(positives, (count, column) =>
    Math.log((count + 0.5) / ((known[column] ?? 0) - count + 0.5)),
  )
}

/** Weights of positives by label: (negatives / positives) to a power; a power of 0 gives 1. */
export function positiveWeights(targets: Matrix, power: number): Float32Array {
  const { positives, known } = labelCounts(targets)
  return Float32Array.from(positives, (count, column) =>
    power === 0 ? 1 : (((known[column] ?? 0) - count + 0.5) / (count + 0.5)) ** power,
  )
}

/** Sums of known targets and counts of known cells, by label. */
function labelCounts({ columns, values }: Matrix): { positives: Float64Array; known: Float64Array } {
  const positives = new Float64Array(columns)
  const known = new Float64Array(columns)
  values.forEach((target, cell) => {
    if (Number.isNaN(target)) return
    const column = cell % columns
    positives[column] = (positives[column] ?? 0) + target
    known[column] = (known[column] ?? 0) + 1
  })
  return { positives, known }
}
