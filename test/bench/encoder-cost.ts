/**
 * Processor time of the encoder and of its matrix products alone, in turn, with one thread: steadier than wall time
 * on a machine that does other work. `node build/test/bench/encoder-cost.js [MODEL-FOLDER]`
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { packageRoot } from '../../src/core/paths.ts'
import { seededRandom } from '../../src/core/random.ts'
import { readModelConfig } from '../../src/encoders/config.ts'
import { buildModelGraph } from '../../src/encoders/model.ts'
import { readSafetensors } from '../../src/formats/safetensors.ts'
import { multiplyAddsPerToken, productChain } from '../../src/runtime/product-rate.ts'
import { sessionOptions } from '../../src/runtime/session-options.ts'

const folder = process.argv[2] ?? join(packageRoot, 'models', 'minilm-l6', '1')
const shapes = [
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

for (const precision of ['fp32', 'int8'] as const) {
  const options = sessionOptions('cpu', 1)
  const encoder = await InferenceSession.create(
    buildModelGraph(config, weights, 'embedding', precision),
    options,
  )
  const products = await InferenceSession.create(productChain(config, precision), options)
  for (const [rows, columns] of shapes) {
    const tokens = rows * columns
    const ids = Int32Array.from({ length: tokens }, () => 1 + random.integer(config.vocabularySize - 1))
    const feeds = {
      input_ids: new Tensor('int32', ids, [rows, columns]),
      attention_mask: new Tensor('int32', new Int32Array(tokens).fill(1), [rows, columns]),
    }
    const values = Float32Array.from({ length: tokens * config.hiddenSize }, () => random.next() * 2 - 1)
    const x = new Tensor('float32', values, [tokens, config.hiddenSize])
    const whole: number[] = []
    const alone: number[] = []
    for (let repetition = 0; repetition < repetitions; repetition++) {
      whole.push(await cost(() => encoder.run(feeds)))
      for (let layer = 0; layer < config.layers; layer++) alone.push(await cost(() => products.run({ x })))
    }
    const encoderRate = (tokens * perToken) / median(whole)
    const productRate = (tokens * perToken) / config.layers / median(alone)
    process.stdout.write(
      [
        `${precision} ${rows}x${columns}:`,
        `${(encoderRate / perToken).toFixed(0)} tokens a processor second,`,
        `${(encoderRate / 1e9).toFixed(0)} billion multiply-adds/s in linear layers,`,
        `${((100 * encoderRate) / productRate).toFixed(0)} % of the products alone (${(productRate / 1e9).toFixed(0)})\n`,
      ].join(' '),
    )
  }
  await encoder.release()
  await products.release()
}
