/**
 * Processor time of the encoder and of its matrix products alone, in turn, with one thread: steadier than wall time
 * on a machine that does other work. `node build/test/bench/encoder-cost.js [MODEL-FOLDER]`
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { packageRoot } from '../../src/core/paths.ts'
import { seededRandom } from '../../src/core/random.ts'
import {
  type ActivationRanges,
  activationRangesJson,
  parseActivationRanges,
} from '../../src/encoders/activation-ranges.ts'
import { readModelConfig } from '../../src/encoders/config.ts'
import { buildModelGraph } from '../../src/encoders/model.ts'
import { outputWidth } from '../../src/encoders/output.ts'
import { readSafetensors } from '../../src/formats/safetensors.ts'
import { multiplyAddsPerToken, productChain } from '../../src/runtime/product-rate.ts'
import { sessionOptions } from '../../src/runtime/session-options.ts'

const folder = process.argv[2] ?? join(packageRoot, 'models', 'minilm-l6', '1')
const shapes = [
  [11, 24],
  [8, 32],
  [16, 32],
  [32, 32],
  [43, 24],
  [8, 128],
] as const
const repetitions = 12

const config = readModelConfig(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')))
const weights = readSafetensors(readFileSync(join(folder, 'model.safetensors')))
const random = seededRandom(7)
const perToken = multiplyAddsPerToken(config)

/** Processor seconds of one call. */
async function cost(call: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  await call()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >>> 1] ?? NaN

/** A range for every linear layer: what it reads in one of the shapes. */
async function rangesOf(feeds: Record<string, Tensor>): Promise<ActivationRanges> {
  const session = await InferenceSession.create(
    buildModelGraph(config, weights, 'activationExtremes'),
    sessionOptions('cpu', 1),
  )
  const { activationExtremes: extremes } = await session.run(feeds)
  await session.release()
  const values = extremes?.data as Float32Array
  const width = outputWidth(config, 'activationExtremes')
  const rows = Array.from({ length: values.length / width }, (_, row) =>
    values.subarray(row * width, (row + 1) * width),
  )
  return parseActivationRanges(activationRangesJson(config, rows), config, 'ranges')
}

interface Variant {
  readonly name: string
  readonly encoder: InferenceSession
  readonly products: InferenceSession
}

async function variant(
  name: string,
  precision: 'fp32' | 'int8',
  ranges?: ActivationRanges,
): Promise<Variant> {
  const options = sessionOptions('cpu', 1)
  return {
    name,
    encoder: await InferenceSession.create(
      buildModelGraph(config, weights, 'embedding', precision, ranges),
      options,
    ),
    products: await InferenceSession.create(productChain(config, precision), options),
  }
}

function feedsOf(rows: number, columns: number): Record<string, Tensor> {
  const tokens = rows * columns
  const ids = Int32Array.from({ length: tokens }, () => 1 + random.integer(config.vocabularySize - 1))
  return {
    input_ids: new Tensor('int32', ids, [rows, columns]),
    attention_mask: new Tensor('int32', new Int32Array(tokens).fill(1), [rows, columns]),
  }
}

const variants = [
  await variant('fp32', 'fp32'),
  await variant('int8, ranges of the batch', 'int8'),
  await variant('int8, fixed ranges', 'int8', await rangesOf(feedsOf(32, 32))),
]
for (const [rows, columns] of shapes) {
  const tokens = rows * columns
  const feeds = feedsOf(rows, columns)
  const values = Float32Array.from({ length: tokens * config.hiddenSize }, () => random.next() * 2 - 1)
  const x = new Tensor('float32', values, [tokens, config.hiddenSize])
  const seconds = new Map(
    variants.map(({ name }) => [name, { whole: [] as number[], alone: [] as number[] }]),
  )
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const { name, encoder, products } of variants) {
      const { whole, alone } = seconds.get(name) ?? { whole: [], alone: [] }
      whole.push(await cost(() => encoder.run(feeds)))
      for (let layer = 0; layer < config.layers; layer++) alone.push(await cost(() => products.run({ x })))
    }
  }
  for (const [name, { whole, alone }] of seconds) {
    const encoderRate = (tokens * perToken) / median(whole)
    const productRate = (tokens * perToken) / config.layers / median(alone)
    process.stdout.write(
      [
        `${rows}x${columns}, ${name}:`,
        `${(encoderRate / perToken).toFixed(0)} tokens a processor second,`,
        `${(encoderRate / 1e9).toFixed(0)} billion multiply-adds/s in linear layers,`,
        `${((100 * encoderRate) / productRate).toFixed(0)} % of the products alone (${(productRate / 1e9).toFixed(0)})\n`,
      ].join(' '),
    )
  }
}
