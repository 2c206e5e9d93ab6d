import { seededRandom } from '../core/random.ts'
import type { NumberArrays } from '../runtime/array-session.ts'
import { DropoutPool } from './dropout-pool.ts'
import type { PaddedRows } from './encoder-batches.ts'
import type { DropoutInput } from './encoder-graph.ts'
import type { EncoderHyperparameters } from './encoder-hyperparameters.ts'
import { sizeOf } from './flat-parameters.ts'
import { derivedSeed } from './schedule.ts'

/** The dropout masks of a training graph, the same for the same seed, step and part whenever they are asked for. */
export class DropoutMasks {
  readonly #inputs: readonly DropoutInput[]
  readonly #seed: number
  readonly #pool: DropoutPool

  /** `lengths` are those of the texts that batches are made of. */
  constructor(
    inputs: readonly DropoutInput[],
    lengths: readonly number[],
    { batch, budgetTokens, dropout, seed }: EncoderHyperparameters,
  ) {
    this.#inputs = inputs
    this.#seed = seed
    const longest = lengths.reduce((most, length) => Math.max(most, length), 1)
    const shapes = [1, longest].map((columns) => ({
      rows: Math.max(1, Math.min(batch, Math.floor(budgetTokens / columns))),
      columns,
    }))
    const sizes = inputs.flatMap(({ shape }) => shapes.map((padded) => sizeOf(sizesIn(shape, padded))))
    this.#pool = new DropoutPool(dropout, Math.max(0, ...sizes), derivedSeed(seed, 'dropout'))
  }

  /** By the names of the graph's inputs; views of one array. */
  feeds(step: number, part: number, padded: PaddedRows): NumberArrays {
    const random = seededRandom(derivedSeed(this.#seed, 'dropout', step, part))
    return Object.fromEntries(
      this.#inputs.map(({ name, shape }) => {
        const sizes = sizesIn(shape, padded)
        return [name, { shape: sizes, values: this.#pool.mask(sizeOf(sizes), random.next()) }]
      }),
    )
  }
}

type Padding = Pick<PaddedRows, 'rows' | 'columns'>

/** The numbers that a mask's symbolic sizes have in a batch. */
const sizesIn = (shape: DropoutInput['shape'], { rows, columns }: Padding): number[] =>
  shape.map((size) =>
    typeof size === 'number'
      ? size
      : size
          .split('*')
          .map((factor) => (factor === 'batch' ? rows : factor === 'sequence' ? columns : Number(factor)))
          .reduce((product, factor) => product * factor, 1),
  )
