import type { ModelConfig } from '../encoders/config.ts'
import { modelParameters } from '../encoders/model.ts'
import { layerPrefix } from '../encoders/weights.ts'
import type { EncoderHyperparameters } from './encoder-hyperparameters.ts'

/** Embeddings and the lowest `layers` layers; none for 0. */
export function frozenParameters(config: ModelConfig, layers: number): Set<string> {
  if (layers === 0) return new Set()
  const prefixes = [
    'bert.embeddings.',
    ...Array.from({ length: layers }, (_, layer) => `${layerPrefix(layer)}.`),
  ]
  const names = [...modelParameters(config, 'logits').keys()]
  return new Set(names.filter((name) => prefixes.some((prefix) => name.startsWith(prefix))))
}

/** A parameter's peak rate: the head's own, else the encoder's, lower for lower layers. */
export function peakRateOf(
  name: string,
  { layers }: ModelConfig,
  { learningRate, headLearningRate, layerDecay }: EncoderHyperparameters,
): number {
  if (!name.startsWith('bert.') || name.startsWith('bert.pooler.')) return headLearningRate
  if (layerDecay === 1) return learningRate
  if (name.startsWith('bert.embeddings.')) return learningRate * layerDecay ** layers
  const layer = Number(/^bert\.encoder\.layer\.(\d+)\./.exec(name)?.[1] ?? layers - 1)
  return learningRate * layerDecay ** (layers - 1 - layer)
}
