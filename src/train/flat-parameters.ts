import type { ParameterShapes } from '../encoders/weights.ts'
import { adamWScalars } from './adamw.ts'
import type { VectorArithmetic } from './vector-arithmetic.ts'

/** Neighbouring numbers that are stepped alike. */
export interface FlatSegment {
  readonly start: number
  readonly end: number
  /** Times the schedule's rate at a step. */
  readonly peakRate: number
  readonly weightDecay: number
}

export interface ParameterPolicy {
  /** Peak learning rate. */
  readonly peakRate: number
  readonly weightDecay: number
}

/** One parameter: a view into the flat array. */
export interface FlatPlace {
  readonly shape: readonly number[]
  readonly start: number
  readonly end: number
}

/**
 * Parameters behind each other in one array, those that are stepped alike side by side: the optimiser then takes
 * a few long stretches instead of a hundred short arrays.
 */
export class FlatParameters {
  readonly places: ReadonlyMap<string, FlatPlace>
  readonly segments: readonly FlatSegment[]
  readonly values: Float32Array
  /** Mean and mean square of the gradient (AdamW). */
  readonly first: Float32Array
  readonly second: Float32Array
  readonly gradients: Float32Array
  readonly #arithmetic: VectorArithmetic

  /** `shapes` of what is trained; the order within a segment is theirs. Takes four arrays of `arithmetic`. */
  constructor(
    shapes: ParameterShapes,
    policyOf: (name: string, shape: readonly number[]) => ParameterPolicy,
    arithmetic: VectorArithmetic,
  ) {
    const groups = new Map<string, { policy: ParameterPolicy; names: string[] }>()
    for (const [name, shape] of shapes) {
      const policy = policyOf(name, shape)
      const key = `${policy.peakRate} ${policy.weightDecay}`
      const group = groups.get(key) ?? { policy, names: [] }
      group.names.push(name)
      groups.set(key, group)
    }
    const places = new Map<string, FlatPlace>()
    const segments: FlatSegment[] = []
    let end = 0
    for (const { policy, names } of groups.values()) {
      const segmentStart = end
      for (const name of names) {
        const shape = shapes.get(name) ?? []
        const start = end
        end += sizeOf(shape)
        places.set(name, { shape, start, end })
      }
      segments.push({ start: segmentStart, end, ...policy })
    }
    this.places = places
    this.segments = segments
    this.#arithmetic = arithmetic
    this.values = arithmetic.array(end)
    this.first = arithmetic.array(end)
    this.second = arithmetic.array(end)
    this.gradients = arithmetic.array(end)
  }

  /** The sum of squares of all gradients. */
  squaredNorm(): number {
    return this.#arithmetic.squaredNorm(this.gradients)
  }

  /** AdamW's step `step`, counted from 1, with the schedule's share of each peak rate and all gradients times `clip`. */
  step(step: number, { schedule, clip }: { readonly schedule: number; readonly clip: number }): void {
    for (const { start, end, peakRate, weightDecay } of this.segments) {
      const part = (array: Float32Array): Float32Array => array.subarray(start, end)
      this.#arithmetic.adamW(
        {
          values: part(this.values),
          first: part(this.first),
          second: part(this.second),
          gradients: part(this.gradients),
        },
        adamWScalars(step, { rate: schedule * peakRate, weightDecay, clip }),
      )
    }
  }
}

/** The number of elements of a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)
