import { seededRandom } from '../core/random.ts'

/** Masks start at multiples of this, so that they are aligned for vector instructions. */
const alignment = 16

/**
 * Dropout masks without drawing a random number for each element: one long stretch of 0 and 1 / (1 - rate) is
 * drawn once, and a mask is a window of it at a random place. Windows are views, so a mask costs nothing; that the
 * same bits come back at another place, after thousands of others, does not matter to dropout.
 */
export class DropoutPool {
  readonly #values: Float32Array

  /** `longest` is the length of the longest mask. */
  constructor(rate: number, longest: number, seed: number) {
    const random = seededRandom(seed)
    const scale = 1 / (1 - rate)
    this.#values = new Float32Array(Math.max(2 ** 21, 2 * longest))
    for (let i = 0; i < this.#values.length; i++) this.#values[i] = random.next() < rate ? 0 : scale
  }

  /** A mask of `length` elements; `place`, uniform in [0, 1), says which. */
  mask(length: number, place: number): Float32Array {
    const places = Math.floor((this.#values.length - length) / alignment) + 1
    const start = Math.floor(place * places) * alignment
    return this.#values.subarray(start, start + length)
  }
}
