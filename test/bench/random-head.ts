import { seededRandom } from '../../src/core/random.ts'
import { readModelConfig } from '../../src/encoders/config.ts'
import { headParameters } from '../../src/encoders/weights.ts'
import { plainDecision } from '../../src/models/decision.ts'
import { openEncoder } from '../../src/models/folder.ts'
import { transformersCode } from '../../src/models/transformers-code.ts'
import { writeVersion } from '../../src/models/versions.ts'
import { sizeOf } from '../../src/train/flat-parameters.ts'
import { readEncoder, trainedConfigJson, weightsWithHead } from '../../src/train/model-files.ts'
import { shippedEncoder } from './shipped.ts'

/**
 * Writes a version of the shipped encoder with a linear head of random numbers for `count` labels, for windows up to the
 * encoder's own limit: how fast it scores does not depend on the numbers. Returns its folder.
 */
export async function writeRandomHead(modelsFolder: string, count: number): Promise<string> {
  const encoder = await openEncoder(shippedEncoder, modelsFolder)
  const files = await readEncoder(encoder)
  const labels = Array.from({ length: count }, (_none, index) => `label_${index}`)
  const json = trainedConfigJson(files.configJson, { labels, headHiddenSizes: [] })
  const config = readModelConfig(json)
  const random = seededRandom(count)
  const head = Object.fromEntries(
    [...headParameters(config)].map(([name, shape]) => [
      name,
      { shape, values: Float32Array.from({ length: sizeOf(shape) }, () => 0.1 * random.normal()) },
    ]),
  )
  const { path } = await writeVersion(modelsFolder, {
    details: {
      name: `random-${count}`,
      licence: encoder.licence,
      maxTokens: config.maxPositions,
      base: { name: encoder.name, digest: encoder.digest },
      strategy: 'random',
      hyperparameters: {},
      metrics: {},
      golden: [],
    },
    decision: plainDecision(labels),
    files: new Map<string, Uint8Array | string>([
      ...files.tokenizerFiles,
      ['config.json', JSON.stringify(json)],
      ['model.safetensors', weightsWithHead(files.weights, config, head)],
      await transformersCode(),
    ]),
    created: new Date(),
  })
  return path
}
