import { LabelstreamError } from '../core/errors.ts'
import { seededRandom } from '../core/random.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { modelParameters } from '../encoders/model.ts'
import { ArraySession, type NumberArray, type NumberArrays } from '../runtime/array-session.ts'
import type { ConcreteProvider } from '../runtime/messages.ts'
import { DropoutMasks } from './dropout-masks.ts'
import {
  type PaddedRows,
  type TokenRows,
  dropTokens,
  padRows,
  targetRows,
  withinBudget,
} from './encoder-batches.ts'
import { type EncoderGraphs, buildEncoderGraphs, gradientName, wordTable } from './encoder-graph.ts'
import { type EncoderHyperparameters, lossOf } from './encoder-hyperparameters.ts'
import { frozenParameters, peakRateOf } from './encoder-rates.ts'
import { FlatParameters, sizeOf } from './flat-parameters.ts'
import { positiveWeights } from './initial-head.ts'
import { RowAdamW } from './row-adamw.ts'
import { derivedSeed, scheduleShare } from './schedule.ts'
import { simdArithmetic } from './simd-arithmetic.ts'
import { type VectorArithmetic, plainArithmetic } from './vector-arithmetic.ts'
import { WeightAverage } from './weight-average.ts'

export interface TrainerOptions {
  readonly config: ModelConfig
  /** Every parameter to start from. */
  readonly parameters: ReadonlyMap<string, Float32Array>
  readonly hyperparameters: EncoderHyperparameters
  readonly train: TokenRows
  readonly totalSteps: number
  /** Where forward and backward pass run: the first that takes them. The optimiser is the CPU's. */
  readonly providers: readonly ConcreteProvider[]
  /** Threads of ONNX Runtime; 0 takes every core. */
  readonly threads: number
}

/** Arrays that a step changes, by name. */
export type TrainerState = ReadonlyMap<string, Float32Array | Int32Array>

/**
 * An encoder with its head in training: holds parameters and moments, takes batches. Everything random comes from
 * (seed, step), so a trainer with the same state goes on with the same bits.
 */
export class EncoderTrainer {
  readonly #options: TrainerOptions
  readonly #graphs: EncoderGraphs
  readonly #sessions: { readonly gradients: ArraySession; readonly forward: ArraySession }
  readonly #arithmetic: VectorArithmetic
  readonly #flat: FlatParameters
  readonly #table: RowAdamW | undefined
  readonly #parameters: Readonly<Record<string, NumberArray>>
  readonly #dropout: DropoutMasks
  readonly #positiveWeight: NumberArray
  readonly #lengths: readonly number[]
  /** Gradients of a part of a batch before they are added up; empty while batches have one part. */
  #partGradients: Float32Array = new Float32Array(0)
  #tableGradients = new Float32Array(0)
  readonly #average: WeightAverage | undefined

  private constructor(
    options: TrainerOptions,
    graphs: EncoderGraphs,
    sessions: { gradients: ArraySession; forward: ArraySession },
    arithmetic: VectorArithmetic,
  ) {
    const { config, parameters, hyperparameters, train, totalSteps } = options
    this.#options = options
    this.#graphs = graphs
    this.#sessions = sessions
    this.#arithmetic = arithmetic
    const shapes = modelParameters(config, 'logits')
    const dense = graphs.trained.filter((name) => name !== wordTable)
    const flat = new FlatParameters(
      new Map(dense.map((name) => [name, shapes.get(name) ?? []])),
      (name, shape) => ({
        peakRate: peakRateOf(name, config, hyperparameters),
        // Biases and LayerNorm are not decayed.
        weightDecay: shape.length > 1 ? hyperparameters.weightDecay : 0,
      }),
      arithmetic,
    )
    this.#flat = flat
    const arrays: [string, NumberArray][] = [...shapes].map(([name, shape]) => {
      const given = parameters.get(name) ?? new Float32Array(sizeOf(shape))
      const place = flat.places.get(name)
      // of what is trained, the word table alone is not in the flat array
      const home = graphs.trained.includes(name) ? arithmetic : plainArithmetic
      const values =
        place === undefined ? home.array(given.length) : flat.values.subarray(place.start, place.end)
      values.set(given)
      return [name, { shape, values }]
    })
    this.#parameters = Object.fromEntries(arrays)
    const table = this.#parameters[wordTable]?.values
    this.#table =
      graphs.trained.includes(wordTable) && table instanceof Float32Array
        ? new RowAdamW(
            table,
            config.hiddenSize,
            {
              peakRate: peakRateOf(wordTable, config, hyperparameters),
              weightDecay: hyperparameters.weightDecay,
              scheduleAt: (step) => scheduleShare(step, { ...hyperparameters, totalSteps }),
              mostTokens: mostTokens(options),
            },
            arithmetic,
          )
        : undefined
    this.#lengths = train.windows.map(({ length }) => length)
    this.#dropout = new DropoutMasks(graphs.dropoutInputs, this.#lengths, hyperparameters)
    this.#positiveWeight = {
      shape: [config.labels.length],
      values: positiveWeights(train.targets, hyperparameters.positiveWeightPower),
    }
    const decay = hyperparameters.averageDecay
    this.#average =
      decay > 0
        ? new WeightAverage(new Map(this.#trainedArrays()), { decay, totalSteps }, arithmetic)
        : undefined
  }

  /** Throws TRAINING_FAILED. */
  static async create(options: TrainerOptions): Promise<EncoderTrainer> {
    const { config, hyperparameters, providers, threads } = options
    const rate = hyperparameters.dropout
    const graphs = buildEncoderGraphs(config, {
      loss: lossOf(hyperparameters.loss),
      dropout: { hidden: rate, attention: rate, head: rate },
      frozen: frozenParameters(config, hyperparameters.frozenLayers),
    })
    const sessions = {
      gradients: await ArraySession.create(graphs.gradients, threads, providers),
      forward: await ArraySession.create(graphs.forward, threads, providers),
    }
    const arithmetic = (await simdArithmetic(numbersOf(options, graphs.trained))) ?? plainArithmetic
    return new EncoderTrainer(options, graphs, sessions, arithmetic)
  }

  /** Why a provider before the one that trains did not start. */
  get providerFallback(): string | undefined {
    return this.#sessions.gradients.fallback
  }

  get trainableParameters(): number {
    const shapes = modelParameters(this.#options.config, 'logits')
    return this.#graphs.trained.reduce((sum, name) => sum + sizeOf(shapes.get(name) ?? []), 0)
  }

  /** Step `step`, counted from 1, on these rows of the training part. Throws TRAINING_FAILED when it diverges. */
  async step(step: number, rows: readonly number[]): Promise<{ loss: number; tokens: number }> {
    const { hyperparameters, train, totalSteps, config } = this.#options
    const parts = withinBudget(rows, this.#lengths, hyperparameters.budgetTokens)
    const known = countKnown(train, rows)
    let loss = 0
    for (const [index, part] of parts.entries()) {
      loss += await this.#gradientsOf(step, index, part, known === 0 ? 0 : config.labels.length / known)
    }
    const squared = this.#flat.squaredNorm() + (this.#table?.squaredNorm() ?? 0)
    const norm = Math.sqrt(squared)
    if (!Number.isFinite(norm + loss)) {
      throw new LabelstreamError(
        'TRAINING_FAILED',
        `loss or gradient is no longer a number at step ${step}: take a lower learning rate`,
      )
    }
    const { clipNorm } = hyperparameters
    const clip = clipNorm > 0 && norm > clipNorm ? clipNorm / norm : 1
    const schedule = scheduleShare(step, { ...hyperparameters, totalSteps })
    this.#flat.step(step, { schedule, clip })
    this.#table?.step(step, clip)
    this.#updateAverage(step)
    const tokens = rows.reduce((sum, row) => sum + (this.#lengths[row] ?? 0), 0)
    return { loss: loss / config.labels.length, tokens }
  }

  /** Logits [windows, labels] under `parameters`, as from `snapshot`. */
  async logits(
    windows: readonly Int32Array[],
    parameters: ReadonlyMap<string, Float32Array>,
  ): Promise<Float32Array> {
    const feeds = Object.fromEntries(
      Object.entries(this.#parameters).map(([name, { shape, values }]) => [
        name,
        { shape, values: parameters.get(name) ?? values },
      ]),
    )
    const labels = this.#options.config.labels.length
    const logits = new Float32Array(windows.length * labels)
    const lengths = windows.map(({ length }) => length)
    const all = windows.map((_window, row) => row)
    for (const rows of withinBudget(all, lengths, this.#options.hyperparameters.budgetTokens)) {
      const padded = padRows(windows, rows)
      const values = new Float32Array(rows.length * labels)
      await this.#sessions.forward.run(
        { ...feeds, ...tokenFeeds(padded) },
        { logits: { shape: [rows.length, labels], values } },
      )
      rows.forEach((row, place) => {
        logits.set(values.subarray(place * labels, (place + 1) * labels), row * labels)
      })
    }
    return logits
  }

  /** Copies of all parameters as they score after step `step`: averaged where averaging is on. */
  snapshot(step: number): Map<string, Float32Array> {
    this.#table?.catchUpAll(step)
    return new Map(
      Object.entries(this.#parameters).map(([name, { values }]) => [
        name,
        Float32Array.from(this.#average?.arrays.get(name) ?? values),
      ]),
    )
  }

  /** Every array that a step changes, as views. */
  state(): TrainerState {
    const { values, first, second } = this.#flat
    const table = this.#table
    return new Map<string, Float32Array | Int32Array>([
      ['flat.values', values],
      ['flat.first', first],
      ['flat.second', second],
      ...(table === undefined
        ? []
        : ([
            ['table.values', table.values],
            ['table.first', table.first],
            ['table.second', table.second],
            ['table.steppedTo', table.steppedTo],
          ] as const)),
      ...[...(this.#average?.arrays ?? [])].map(([name, average]) => [`average.${name}`, average] as const),
    ])
  }

  /** Takes over a state of a trainer with the same options. Throws RangeError when it does not fit. */
  restore(state: TrainerState): void {
    for (const [name, target] of this.state()) {
      const saved = state.get(name)
      if (saved?.length !== target.length) throw new RangeError(`the state has no ${name} of that length`)
      target.set(saved)
    }
  }

  /** Adds the gradients of a part of a batch to those of the parts before it; the part's share of the loss. */
  async #gradientsOf(step: number, index: number, rows: readonly number[], scale: number): Promise<number> {
    const { config, train, hyperparameters } = this.#options
    const padded = padRows(train.windows, rows)
    const random = seededRandom(derivedSeed(hyperparameters.seed, 'tokens', step, index))
    dropTokens(padded, hyperparameters.tokenDropout, random)
    const { targets, mask } = targetRows(train.targets, rows, hyperparameters.labelSmoothing)
    const cells = [rows.length, config.labels.length]
    this.#table?.catchUp(padded.inputIds, step - 1)

    const isFirst = index === 0
    if (!isFirst && this.#partGradients.length === 0) {
      this.#partGradients = this.#arithmetic.array(this.#flat.gradients.length)
    }
    const gradients = isFirst ? this.#flat.gradients : this.#partGradients
    const tableLength = padded.inputIds.length * config.hiddenSize
    if (this.#table !== undefined && this.#tableGradients.length < tableLength) {
      this.#tableGradients = new Float32Array(tableLength)
    }
    const tableGradients = this.#tableGradients.subarray(0, tableLength)
    const loss = new Float32Array(1)
    const into: Record<string, NumberArray> = { loss: { shape: [], values: loss } }
    for (const [name, { shape, start, end }] of this.#flat.places) {
      into[gradientName(name)] = { shape, values: gradients.subarray(start, end) }
    }
    if (this.#table !== undefined) {
      into[gradientName(wordTable)] = {
        shape: [padded.inputIds.length, config.hiddenSize],
        values: tableGradients,
      }
    }
    await this.#sessions.gradients.run(
      {
        ...this.#parameters,
        ...tokenFeeds(padded),
        ...this.#dropout.feeds(step, index, padded),
        targets: { shape: cells, values: targets },
        mask: { shape: cells, values: mask },
        positiveWeight: this.#positiveWeight,
        scale: { shape: [], values: Float32Array.of(scale) },
      },
      into,
    )
    this.#table?.addGradients(padded.inputIds, padded.attentionMask, tableGradients)
    if (!isFirst) this.#arithmetic.add(this.#flat.gradients, this.#partGradients)
    return loss[0] ?? NaN
  }

  #updateAverage(step: number): void {
    if (this.#average?.isDue(step) !== true) return
    this.#table?.catchUpAll(step)
    this.#average.take(step)
  }

  *#trainedArrays(): Generator<[string, Float32Array]> {
    for (const name of this.#graphs.trained) {
      const values = this.#parameters[name]?.values
      if (values instanceof Float32Array) yield [name, values]
    }
  }
}

/** Tokens of the largest batch, padding with them. */
const mostTokens = ({ train, hyperparameters }: TrainerOptions): number =>
  hyperparameters.batch * train.windows.reduce((most, { length }) => Math.max(most, length), 1)

/** How many numbers a trainer takes of its arithmetic, and in how many arrays. */
function numbersOf(options: TrainerOptions, trained: readonly string[]): { numbers: number; arrays: number } {
  const { config, hyperparameters } = options
  const shapes = modelParameters(config, 'logits')
  const lengthOf = (name: string): number => sizeOf(shapes.get(name) ?? [])
  const all = trained.reduce((sum, name) => sum + lengthOf(name), 0)
  const table = trained.includes(wordTable) ? lengthOf(wordTable) : 0
  // values, moments, gradients, and the gradients of parts
  const flat = 5 * (all - table)
  const rows = table === 0 ? 0 : RowAdamW.numbers(table, config.hiddenSize, mostTokens(options))
  const averages = hyperparameters.averageDecay > 0 ? all : 0
  // five flat ones, four of the table, an average of each parameter
  return { numbers: flat + rows + averages, arrays: 5 + 4 + trained.length }
}

const tokenFeeds = ({ rows, columns, inputIds, attentionMask }: PaddedRows): NumberArrays => ({
  input_ids: { shape: [rows, columns], values: inputIds },
  attention_mask: { shape: [rows, columns], values: attentionMask },
})

function countKnown({ targets }: TokenRows, rows: readonly number[]): number {
  let known = 0
  for (const row of rows) {
    for (let column = 0; column < targets.columns; column++) {
      if (!Number.isNaN(targets.values[row * targets.columns + column])) known++
    }
  }
  return known
}
