/** What one step of AdamW reads and writes, arrays of one length. */
export interface AdamWArrays {
  readonly values: Float32Array
  /** Mean and mean square of the gradient. */
  readonly first: Float32Array
  readonly second: Float32Array
  readonly gradients: Float32Array
}

/** A step's numbers, see `adamWScalars`. */
export interface AdamWScalars {
  /** What gradients are multiplied by first. */
  readonly clip: number
  /** What decay leaves of the values. */
  readonly keep: number
  /** Learning rate and epsilon with the bias corrections in them. */
  readonly rate: number
  readonly epsilon: number
}

/** What several steps without a gradient do to values and moments, each a factor but for the two of the moment's push. */
export interface DriftScalars {
  readonly kept: number
  readonly push: number
  readonly epsilon: number
  readonly first: number
  readonly second: number
}

export const adamWBetas = { beta1: 0.9, beta2: 0.999 } as const

/**
 * Arithmetic on long arrays of 32-bit floats, in place, each operation rounded to 32 bits. Arrays and their views must come
 * from `array`.
 */
export interface VectorArithmetic {
  /** Zeros. */
  array: (length: number) => Float32Array
  /**
   * m = beta1 m + (1 - beta1) clip g; v = beta2 v + (1 - beta2) (clip g)^2; x = keep x - rate m / (sqrt(v) + epsilon)
   * (Loshchilov and Hutter 2019, algorithm 2).
   */
  adamW: (arrays: AdamWArrays, scalars: AdamWScalars) => void
  /** x = kept x - push m / (sqrt(v) + epsilon); then m and v times their factors. */
  drift: (arrays: Omit<AdamWArrays, 'gradients'>, scalars: DriftScalars) => void
  /** total = total + more */
  add: (total: Float32Array, more: Float32Array) => void
  /** average = keep average + (1 - keep) values */
  blend: (average: Float32Array, values: Float32Array, keep: number) => void
  /** The sum of squares, in 64 bits. */
  squaredNorm: (x: Float32Array) => number
}

const { fround, sqrt } = Math

/** keep x - push / (sqrt(v) + epsilon) */
const moved = (x: number, keep: number, push: number, v: number, epsilon: number): number =>
  fround(fround(keep * x) - fround(push / fround(fround(sqrt(v)) + epsilon)))

/** One number after the other: for what the other arithmetic has no room for, and what that one is tested against. */
export const plainArithmetic: VectorArithmetic = {
  array: (length) => new Float32Array(length),
  adamW: ({ values, first, second, gradients }, { clip, keep, rate, epsilon }) => {
    const { beta1, beta2 } = adamWBetas
    const [b1, b2] = [fround(beta1), fround(beta2)]
    const gain1 = fround((1 - beta1) * clip)
    const gain2 = fround((1 - beta2) * clip * clip)
    const [kept, scaledRate, offset] = [fround(keep), fround(rate), fround(epsilon)]
    for (let i = 0; i < values.length; i++) {
      const g = gradients[i] as number
      const m = fround(fround(b1 * (first[i] as number)) + fround(gain1 * g))
      const v = fround(fround(b2 * (second[i] as number)) + fround(gain2 * fround(g * g)))
      first[i] = m
      second[i] = v
      values[i] = moved(values[i] as number, kept, fround(scaledRate * m), v, offset)
    }
  },
  drift: ({ values, first, second }, { kept, push, epsilon, first: firstFactor, second: secondFactor }) => {
    const [keep, rate, offset] = [fround(kept), fround(push), fround(epsilon)]
    const [factor1, factor2] = [fround(firstFactor), fround(secondFactor)]
    for (let i = 0; i < values.length; i++) {
      const [m, v] = [first[i] as number, second[i] as number]
      values[i] = moved(values[i] as number, keep, fround(rate * m), v, offset)
      first[i] = m * factor1
      second[i] = v * factor2
    }
  },
  add: (total, more) => {
    for (let i = 0; i < total.length; i++) total[i] = (total[i] as number) + (more[i] as number)
  },
  blend: (average, values, keep) => {
    const [kept, rest] = [fround(keep), fround(1 - keep)]
    for (let i = 0; i < average.length; i++) {
      average[i] = fround(kept * (average[i] as number)) + fround(rest * (values[i] as number))
    }
  },
  squaredNorm: (x) => {
    let sum = 0
    for (let i = 0; i < x.length; i++) sum += (x[i] as number) ** 2
    return sum
  },
}
