import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/core/paths.ts'
import { type ModelConfig, readModelConfig } from '../../src/encoders/config.ts'
import { modelParameters } from '../../src/encoders/model.ts'
import { resolveWeights } from '../../src/encoders/weights.ts'
import {
  type Tensor,
  readSafetensors,
  readSafetensorsMetadata,
  toFloat32,
} from '../../src/formats/safetensors.ts'

export const gradientCases = ['mean-linear', 'pooler', 'mean-dense', 'cls'] as const

const folder = join(packageRoot, 'test', 'fixtures', 'train', 'gradients')
const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))

export interface RecordedBatch {
  readonly inputIds: number[][]
  readonly attentionMask: number[][]
  readonly targets: number[][]
  readonly known: number[][]
  readonly positiveWeight: number[]
}

export const recordedBatch = (): RecordedBatch => readJson(join(folder, 'batch.json')) as RecordedBatch

/** A tiny model with the loss and the gradients that PyTorch computes for the recorded batch. */
export function recordedModel(name: (typeof gradientCases)[number]): {
  readonly config: ModelConfig
  readonly parameters: Map<string, Float32Array>
  readonly loss: number
  readonly kind: 'bce' | 'focal' | 'asymmetric'
  readonly gradients: Map<string, Float32Array>
} {
  const config = readModelConfig(readJson(join(folder, name, 'config.json')))
  const weights = readSafetensors(readFileSync(join(folder, name, 'model.safetensors')))
  const bytes = readFileSync(join(folder, name, 'gradients.safetensors'))
  const metadata = readSafetensorsMetadata(bytes)
  return {
    config,
    parameters: floatsOf(resolveWeights(modelParameters(config, 'logits'), weights, config)),
    loss: Number(metadata['loss']),
    kind: metadata['kind'] as 'bce' | 'focal' | 'asymmetric',
    gradients: floatsOf(readSafetensors(bytes)),
  }
}

const floatsOf = (tensors: ReadonlyMap<string, Tensor>): Map<string, Float32Array> =>
  new Map([...tensors].map(([name, tensor]) => [name, toFloat32(tensor, name)]))
