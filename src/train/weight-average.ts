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

  /** Starts at the weights as they are; `weights` are the live arrays. */
  constructor(weights: ReadonlyMap<string, Float32Array>, options: { decay: number; totalSteps: number }) {
    this.#weights = weights
    this.#averages = new Map([...weights].map(([name, values]) => [name, values.slice()]))
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
      const average = this.#averages.get(name) ?? new Float32Array()
      for (let i = 0; i < average.length; i++) {
        average[i] = keep * (average[i] as number) + (1 - keep) * (values[i] as number)
      }
    }
  }
}
