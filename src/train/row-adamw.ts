import { biasCorrections, defaultAdamW } from './adamw.ts'

export interface RowAdamWOptions {
  readonly peakRate: number
  readonly weightDecay: number
  /** The schedule's share of the peak rate at a step, counted from 1. */
  readonly scheduleAt: (step: number) => number
}

/** A mean gradient has faded to 1e-8 of itself after this many steps. */
const fadedAfter = 175

/**
 * AdamW on a table of which a batch uses few rows. A row without a gradient still moves in AdamW, on what is left
 * of its mean gradient, and decays; these steps are put off until the row is used again and then done in one go,
 * in closed form: between two uses only factors of beta and the schedule change, so their sum is one number a row.
 * The sum takes epsilon as it was at the first of them, which differs by under 1e-4 of a step.
 */
export class RowAdamW {
  readonly values: Float32Array
  readonly first: Float32Array
  readonly second: Float32Array
  /** The step up to which each row has been stepped. */
  readonly steppedTo: Int32Array
  readonly #width: number
  readonly #options: RowAdamWOptions
  /** Product of all decay factors up to a step, by step. */
  readonly #kept: number[] = [1]
  readonly #slots = new Map<number, number>()
  #sums: Float32Array

  /** `values` [rows, width] is stepped in place. */
  constructor(values: Float32Array, width: number, options: RowAdamWOptions) {
    this.values = values
    this.first = new Float32Array(values.length)
    this.second = new Float32Array(values.length)
    this.steppedTo = new Int32Array(values.length / width)
    this.#width = width
    this.#options = options
    this.#sums = new Float32Array(0)
  }

  /** Brings the rows that a batch is about to read up to step `step`. */
  catchUp(rows: Iterable<number>, step: number): void {
    const drifts = new Map<number, Drift>()
    for (const row of rows) {
      const from = this.steppedTo[row] ?? 0
      if (from >= step) continue
      const drift = drifts.get(from) ?? this.#driftOf(from, step)
      drifts.set(from, drift)
      this.#move(row, drift)
      this.steppedTo[row] = step
    }
  }

  catchUpAll(step: number): void {
    this.catchUp(this.steppedTo.keys(), step)
  }

  /** Adds gradients [tokens, width] to the rows that the tokens used; tokens whose mask is 0 have none. */
  addGradients(ids: Int32Array, mask: Int32Array, gradients: Float32Array): void {
    const width = this.#width
    const needed = (this.#slots.size + ids.length) * width
    if (this.#sums.length < needed) {
      const larger = new Float32Array(needed)
      larger.set(this.#sums)
      this.#sums = larger
    }
    const sums = this.#sums
    for (let token = 0; token < ids.length; token++) {
      const row = ids[token] ?? 0
      if (mask[token] === 0) continue
      let slot = this.#slots.get(row)
      const from = token * width
      if (slot === undefined) {
        slot = this.#slots.size
        this.#slots.set(row, slot)
        sums.set(gradients.subarray(from, from + width), slot * width)
        continue
      }
      const to = slot * width
      for (let i = 0; i < width; i++)
        sums[to + i] = (sums[to + i] as number) + (gradients[from + i] as number)
    }
  }

  /** The sum of squares of the gradients added since the last step. */
  squaredNorm(): number {
    const end = this.#slots.size * this.#width
    let sum = 0
    for (let i = 0; i < end; i++) sum += (this.#sums[i] as number) ** 2
    return sum
  }

  /** Step `step`, counted from 1, of the rows that have gradients, which are times `clip`. */
  step(step: number, clip: number): void {
    const { beta1, beta2, epsilon } = defaultAdamW
    const { peakRate, weightDecay, scheduleAt } = this.#options
    const { values, first, second } = this
    this.catchUp(this.#slots.keys(), step - 1)
    const rate = scheduleAt(step) * peakRate
    const keep = 1 - rate * weightDecay
    const [firstCorrection, secondCorrection] = biasCorrections(step)
    const root = Math.sqrt(secondCorrection)
    const scaledRate = (rate * root) / firstCorrection
    const scaledEpsilon = epsilon * root
    for (const [row, slot] of this.#slots) {
      const from = slot * this.#width
      const to = row * this.#width
      for (let i = 0; i < this.#width; i++) {
        const gradient = (this.#sums[from + i] as number) * clip
        const m = (first[to + i] as number) * beta1 + gradient * (1 - beta1)
        const v = (second[to + i] as number) * beta2 + gradient * gradient * (1 - beta2)
        first[to + i] = m
        second[to + i] = v
        values[to + i] = (values[to + i] as number) * keep - (scaledRate * m) / (Math.sqrt(v) + scaledEpsilon)
      }
      this.steppedTo[row] = step
    }
    this.#slots.clear()
  }

  #move(row: number, { kept, push, epsilon, first, second }: Drift): void {
    const { values, first: means, second: squares } = this
    const end = (row + 1) * this.#width
    for (let i = row * this.#width; i < end; i++) {
      const m = means[i] as number
      const decayed = (values[i] as number) * kept
      if (m === 0) {
        values[i] = decayed
        continue
      }
      const v = squares[i] as number
      values[i] = decayed - (push * m) / (Math.sqrt(v) + epsilon)
      means[i] = m * first
      squares[i] = v * second
    }
  }

  /** What steps from+1 .. to do to a row without gradients. */
  #driftOf(from: number, to: number): Drift {
    const { beta1, beta2, epsilon } = defaultAdamW
    const { peakRate, scheduleAt } = this.#options
    let push = 0
    let firstEpsilon = 0
    for (let step = from + 1; step <= Math.min(to, from + fadedAfter); step++) {
      const [firstCorrection, secondCorrection] = biasCorrections(step)
      const shrunk = Math.sqrt(beta2 ** (step - from) / secondCorrection)
      if (step === from + 1) firstEpsilon = epsilon / shrunk
      const share = (scheduleAt(step) * peakRate * beta1 ** (step - from)) / (firstCorrection * shrunk)
      // Later steps decay what this one has moved.
      push += (share * this.#keptUpTo(to)) / this.#keptUpTo(step)
    }
    const gap = to - from
    return {
      kept: this.#keptUpTo(to) / this.#keptUpTo(from),
      push,
      epsilon: firstEpsilon,
      first: gap > fadedAfter ? 0 : beta1 ** gap,
      second: beta2 ** gap,
    }
  }

  #keptUpTo(step: number): number {
    const { peakRate, weightDecay, scheduleAt } = this.#options
    for (let next = this.#kept.length; next <= step; next++) {
      const before = this.#kept[next - 1] ?? 1
      this.#kept.push(before * (1 - scheduleAt(next) * peakRate * weightDecay))
    }
    return this.#kept[step] ?? 1
  }
}

interface Drift {
  readonly kept: number
  readonly push: number
  readonly epsilon: number
  readonly first: number
  readonly second: number
}
