import type { VectorArithmetic } from './vector-arithmetic.ts'

/** An average over every tenth step costs a tenth and is as smooth. */
const longestEvery = 10
/** A short training is averaged more often, for the average must leave the first weights behind. */
const fewestAveraged = 100

/** A moving average of weights while they are trained: what is scored and kept in their place. */
export class WeightAverage {
  readonly #weights: ReadonlyMap<string, Float32Array>
  readonly #averages: ReadonlyMap<string, Float32Array>
  readonly #decay: number
  readonly #every: number
  readonly #arithmetic: VectorArithmetic

  /** Starts at the weights as they are; `weights` are the live arrays, of `arithmetic`, which as many again are taken of. */
  constructor(
    weights: ReadonlyMap<string, Float32Array>,
    options: { readonly decay: number; readonly totalSteps: number },
    arithmetic: VectorArithmetic,
  ) {
    this.#weights = weights
    this.#arithmetic = arithmetic
    this.#averages = new Map(
      [...weights].map(([name, values]) => {
        const average = arithmetic.array(values.length)
        average.set(values)
        return [name, average]
      }),
    )
    this.#decay = options.decay
    this.#every = Math.min(longestEvery, Math.ceil(options.totalSteps / fewestAveraged))
  }

  /** By name, as views. */
  get arrays(): ReadonlyMap<string, Float32Array> {
    return this.#averages
  }

  isDue(step: number): boolean {
    return step % this.#every === 0
  }

  /** Takes in the weights after a step that is due. */
  take(step: number): void {
    // early weights would stay in the average for long: until it has seen enough, it is a plain mean
    const seen = step / this.#every
    const keep = Math.min(this.#decay, seen / (seen + 9))
    for (const [name, values] of this.#weights) {
      const average = this.#averages.get(name)
      if (average !== undefined) this.#arithmetic.blend(average, values, keep)
    }
  }
}
