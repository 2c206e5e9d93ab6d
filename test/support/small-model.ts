import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../src/core/paths.ts'
import { seededRandom } from '../../src/core/random.ts'
import { readModelConfig } from '../../src/encoders/config.ts'
import { modelParameters } from '../../src/encoders/model.ts'
import { type Tensor, writeSafetensors } from '../../src/formats/safetensors.ts'
import { plainDecision } from '../../src/models/decision.ts'
import type { ClassifierManifest } from '../../src/models/manifest.ts'
import { type WrittenVersion, writeVersion } from '../../src/models/versions.ts'

const usualLabels = ['first', 'second', 'third']

export interface RandomModelSize {
  readonly hidden: number
  readonly layers: number
  readonly heads: number
}

export interface SmallModelOptions {
  /** One layer of width 16. */
  readonly size?: RandomModelSize
  readonly labels?: readonly string[]
  /** At which each label is decided (0.5). */
  readonly threshold?: number
  /** Those of decision.json, where they are to differ from the model's. */
  readonly decisionLabels?: readonly string[]
  /** Changes the weights before they are written. */
  readonly change?: (weights: Map<string, Tensor>) => void
  readonly golden?: ClassifierManifest['golden']
}

const usualSize: RandomModelSize = { hidden: 16, layers: 1, heads: 2 }

/**
 * A BERT with random weights and the real tokenizer: it scores like a model does, and unless it is to be larger
 * thousands of short texts a second. Weights depend on the seed, the size and the number of labels alone.
 */
export async function writeSmallModel(
  modelsFolder: string,
  seed = 1,
  options: SmallModelOptions = {},
): Promise<WrittenVersion> {
  const { labels = usualLabels, threshold, decisionLabels = labels, change, golden = [] } = options
  const { hidden, layers, heads } = options.size ?? usualSize
  const tokenizer = join(packageRoot, 'models', 'minilm-l6', '1')
  const json = {
    model_type: 'bert',
    vocab_size: 30_522,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: hidden,
    max_position_embeddings: 64,
    id2label: Object.fromEntries(labels.entries()),
    labelstream: { pooling: 'mean' },
  }
  const random = seededRandom(seed)
  const weights = new Map<string, Tensor>()
  for (const [name, shape] of modelParameters(readModelConfig(json), 'logits')) {
    const values = Float32Array.from(
      { length: shape.reduce((product, size) => product * size, 1) },
      () => random.normal() * 0.5,
    )
    weights.set(name, { dtype: 'F32', shape: [...shape], data: new Uint8Array(values.buffer) })
  }
  change?.(weights)
  const tokenizerFiles = await Promise.all(
    ['tokenizer.json', 'tokenizer_config.json'].map(
      async (file) => [file, await readFile(join(tokenizer, file))] as const,
    ),
  )
  return writeVersion(modelsFolder, {
    details: {
      name: 'small',
      licence: 'Apache-2.0',
      maxTokens: 64,
      strategy: 'random',
      hyperparameters: { seed },
      metrics: {},
      golden,
    },
    decision: plainDecision(decisionLabels, threshold),
    files: new Map<string, Uint8Array | string>([
      ...tokenizerFiles,
      ['config.json', JSON.stringify(json)],
      ['model.safetensors', writeSafetensors(weights)],
    ]),
    created: new Date(Date.UTC(2026, 10, 23, 10, seed - 1)),
  })
}
