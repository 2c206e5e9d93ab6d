import { adamWScalars, biasCorrections, defaultAdamW } from './adamw.ts'
import type { AdamWArrays, DriftScalars, VectorArithmetic } from './vector-arithmetic.ts'

export interface RowAdamWOptions {
  readonly peakRate: number
  readonly weightDecay: number
  /** The schedule's share of the peak rate at a step, counted from 1. */
  readonly scheduleAt: (step: number) => number
  /** Tokens of the largest batch. */
  readonly mostTokens: number
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
  readonly #arithmetic: VectorArithmetic
  /** Rows with gradients since the last step, and where these are added up. */
  readonly #slots = new Map<number, number>()
  readonly #sums: Float32Array

  /** `values` [rows, width], an array of `arithmetic`, is stepped in place; three more are taken. */
  constructor(values: Float32Array, width: number, options: RowAdamWOptions, arithmetic: VectorArithmetic) {
    this.values = values
    this.first = arithmetic.array(values.length)
    this.second = arithmetic.array(values.length)
    this.steppedTo = new Int32Array(values.length / width)
    this.#width = width
    this.#options = options
    this.#arithmetic = arithmetic
    this.#sums = arithmetic.array(mostSums(values.length, width, options.mostTokens))
  }

  /** Numbers that a table of `length` takes of its arithmetic, `values` with them. */
  static numbers(length: number, width: number, mostTokens: number): number {
    return 3 * length + mostSums(length, width, mostTokens)
  }

  /** Brings the rows that a batch is about to read up to step `step`. */
  catchUp(rows: Iterable<number>, step: number): void {
    const drifts = new Map<number, DriftScalars>()
    /** Neighbours that have missed the same steps. */
    let run: { start: number; end: number; drift: DriftScalars } | undefined
    for (const row of rows) {
      const from = this.steppedTo[row] ?? 0
      if (from >= step) continue
      this.steppedTo[row] = step
      const drift = drifts.get(from) ?? this.#driftOf(from, step)
      drifts.set(from, drift)
      if (run?.end === row && run.drift === drift) {
        run.end = row + 1
        continue
      }
      if (run !== undefined) this.#drift(run.start, run.end, run.drift)
      run = { start: row, end: row + 1, drift }
    }
    if (run !== undefined) this.#drift(run.start, run.end, run.drift)
  }

  catchUpAll(step: number): void {
    this.catchUp(this.steppedTo.keys(), step)
  }

  /** Adds gradients [tokens, width] to the rows that the tokens used; tokens whose mask is 0 have none. */
  addGradients(ids: Int32Array, mask: Int32Array, gradients: Float32Array): void {
    const width = this.#width
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
    return this.#arithmetic.squaredNorm(this.#sums.subarray(0, this.#slots.size * this.#width))
  }

  /** Step `step`, counted from 1, of the rows that have gradients, which are times `clip`. */
  step(step: number, clip: number): void {
    const { peakRate, weightDecay, scheduleAt } = this.#options
    const width = this.#width
    this.catchUp(this.#slots.keys(), step - 1)
    const scalars = adamWScalars(step, { rate: scheduleAt(step) * peakRate, weightDecay, clip })
    for (const [row, slot] of this.#slots) {
      const gradients = this.#sums.subarray(slot * width, (slot + 1) * width)
      this.#arithmetic.adamW({ ...this.#rows(row, row + 1), gradients }, scalars)
      this.steppedTo[row] = step
    }
    this.#slots.clear()
  }

  #drift(start: number, end: number, drift: DriftScalars): void {
    this.#arithmetic.drift(this.#rows(start, end), drift)
  }

  #rows(start: number, end: number): Omit<AdamWArrays, 'gradients'> {
    const part = (array: Float32Array): Float32Array => array.subarray(start * this.#width, end * this.#width)
    return { values: part(this.values), first: part(this.first), second: part(this.second) }
  }

  /** What steps from+1 .. to do to a row without gradients. */
  #driftOf(from: number, to: number): DriftScalars {
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

/** A batch has a sum for each row that its tokens use. */
const mostSums = (length: number, width: number, mostTokens: number): number =>
  Math.min(length, mostTokens * width)
