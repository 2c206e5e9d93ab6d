import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '../../src/core/random.ts'
import { type ModelConfig, readModelConfig } from '../../src/encoders/config.ts'
import { headParameters } from '../../src/encoders/weights.ts'
import { TokenizerPool } from '../../src/text/tokenizer-pool.ts'
import { type Dataset, datasetOf, targetsOf } from '../../src/train/dataset.ts'
import { epochBatches } from '../../src/train/encoder-batches.ts'
import {
  type EncoderHyperparameters,
  defaultEncoderHyperparameters,
} from '../../src/train/encoder-hyperparameters.ts'
import { initialHead } from '../../src/train/initial-head.ts'
import { readJsonLines } from '../../src/train/json-lines.ts'
import { trainedConfigJson } from '../../src/train/model-files.ts'
import { shippedEncoder } from './shipped.ts'

/** What both sides read: token ids, targets and batches are the same numbers, and nobody has to tokenise. */
export interface PaceJob {
  readonly encoderFolder: string
  readonly labels: readonly string[]
  readonly hyperparameters: EncoderHyperparameters
  /** Where both sides compute. */
  readonly provider: 'cpu' | 'cuda'
  readonly threads: number
  /** Steps before the clock starts; memory is taken and kernels are chosen in them. */
  readonly warmupSteps: number
  /** Token ids by row. */
  readonly windows: readonly (readonly number[])[]
  /** 0 or 1, by row and label. */
  readonly targets: readonly (readonly number[])[]
  /** Of the training that these steps begin: schedule and averages are those of its length. */
  readonly totalSteps: number
  /** Rows by step, the warm-up's first. */
  readonly batches: readonly (readonly number[])[]
  /** The head to start from: weight [labels, hidden] row by row, bias [labels]. */
  readonly head: { readonly weight: readonly number[]; readonly bias: readonly number[] }
}

/** What each side prints. */
export interface PaceResult {
  /** Real tokens of the timed steps, and their time with batching, clipping and optimiser. */
  readonly tokens: number
  readonly seconds: number
  readonly medianStepMs: number
  readonly peakMemoryBytes: number
  /** Mean cross-entropy a label of the first batch before any step, without dropout: proof of the same work. */
  readonly startLoss: number
  /** Mean of the timed steps. */
  readonly loss: number
}

export interface PaceOptions {
  readonly data: string
  readonly maxTokens: number
  readonly provider: 'cpu' | 'cuda'
  readonly threads: number
  readonly steps: number
  readonly warmupSteps: number
}

/** Two epochs of GoEmotions. */
const totalSteps = 2_700

/** As `trainedConfigJson` has it for `full-linear`. */
export const paceConfig = (labels: readonly string[]): ModelConfig =>
  readModelConfig(trainedConfigJson(encoderJson(), { labels, headHiddenSizes: [] }))

const encoderJson = (): Record<string, unknown> =>
  JSON.parse(readFileSync(join(shippedEncoder, 'config.json'), 'utf8')) as Record<string, unknown>

/** Batches as `retrain` makes them, of rows that are drawn from all of the data. */
export async function paceJob({
  data,
  maxTokens,
  provider,
  threads,
  ...steps
}: PaceOptions): Promise<PaceJob> {
  const hyperparameters = defaultEncoderHyperparameters
  const { batch, seed } = hyperparameters
  const wanted = steps.steps + steps.warmupSteps
  const rows = drawnRows(datasetOf(await readJsonLines(data)), batch * wanted, seed)
  const windows = await tokenize(
    rows.rows.map(({ text }) => text),
    maxTokens,
  )
  const targets = targetsOf(rows)
  const head = initialHead(headParameters(paceConfig(rows.labels)), targets, seed)
  const lengths = windows.map(({ length }) => length)
  return {
    encoderFolder: shippedEncoder,
    labels: rows.labels,
    hyperparameters,
    provider,
    threads,
    warmupSteps: steps.warmupSteps,
    totalSteps: Math.max(totalSteps, wanted),
    windows: windows.map((window) => Array.from(window)),
    targets: rows.rows.map((row) => Array.from(row.targets)),
    batches: epochBatches(lengths, { batch, seed, epoch: 1 }).slice(0, wanted),
    head: {
      weight: Array.from(head.get('classifier.weight') ?? []),
      bias: Array.from(head.get('classifier.bias') ?? []),
    },
  }
}

/** So many rows at random, in a circle where there are fewer. */
function drawnRows({ labels, rows }: Dataset, count: number, seed: number): Dataset {
  const shuffled = seededRandom(seed).shuffle([...rows])
  const drawn = Array.from({ length: count }, (_none, index) => shuffled[index % shuffled.length])
  return { labels, rows: drawn.filter((row) => row !== undefined) }
}

async function tokenize(texts: readonly string[], maxTokens: number): Promise<Int32Array[]> {
  const pool = await TokenizerPool.start({
    folder: shippedEncoder,
    threads: 1,
    maxTokens,
    maxWindows: 1,
    strideTokens: 0,
  })
  const tokenized = await pool.tokenize(texts).finally(() => pool.close())
  return tokenized.map(({ windows }) => windows[0] ?? new Int32Array(0))
}
