import { LabelstreamError } from '../core/errors.ts'
import type { Tensor as StoredTensor } from '../formats/safetensors.ts'
import { GraphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/builder.ts'
import { writeOnnx } from '../graph/onnx.ts'
import type { Tensor } from '../graph/tensor.ts'
import { bertEncoder } from './bert.ts'
import type { ModelParts } from './bert.ts'
import type { ModelConfig } from './config.ts'
import { constantParts } from './constants.ts'
import type { Precision } from './constants.ts'
import { classify, pool } from './head.ts'
import { encoderParameters, headParameters, poolerParameters, resolveWeights } from './weights.ts'
import type { ParameterShapes } from './weights.ts'

/** logits [batch, labels]; embedding, the pooled vector before the head, [batch, hidden]; hidden [batch, sequence, hidden]. */
export type ModelOutput = 'logits' | 'embedding' | 'hidden'

/** The parameters that computing `output` takes, in the order of model files. */
export function modelParameters(config: ModelConfig, output: ModelOutput): ParameterShapes {
  return new Map([
    ...encoderParameters(config),
    ...(output !== 'hidden' && config.pooling === 'pooler' ? poolerParameters(config) : []),
    ...(output === 'logits' ? headParameters(config) : []),
  ])
}

/** The tensor `output` of a model over `inputIds` and `attentionMask`, integers [batch, sequence]. */
export function modelOutput(
  g: GraphBuilder,
  config: ModelConfig,
  parts: ModelParts,
  inputs: { readonly inputIds: Tensor; readonly attentionMask: Tensor },
  output: ModelOutput,
): Tensor {
  const { inputIds, attentionMask } = inputs
  const tokens = g.within('encoder', () => bertEncoder(g, config, parts, inputIds, attentionMask))
  const shape = g.concat([g.shape(inputIds), g.integers([config.hiddenSize])], 0)
  const hidden = g.cast(g.reshape(tokens, shape), 'float32')
  if (output === 'hidden') return hidden
  const pooled = g.within('pool', () => pool(g, config, parts, hidden, attentionMask))
  return output === 'embedding' ? pooled : g.within('head', () => classify(g, config, parts, pooled))
}

/**
 * A model for inference: inputs `input_ids` and `attention_mask`, int32 [batch, sequence], one output named as
 * `output`, float32. The precision is the encoder's; pooling and head are fp32 always. Throws MODEL_CORRUPT
 * naming a missing or mis-shaped tensor, and MODEL_UNSUPPORTED for logits of an encoder that has no head.
 */
export function modelGraph(
  config: ModelConfig,
  weights: ReadonlyMap<string, StoredTensor>,
  output: ModelOutput,
  precision: Precision = 'fp32',
): Graph {
  if (output === 'logits' && config.labels.length === 0) {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      'the model is an encoder without a classifier: it has no labels to score',
    )
  }
  const g = new GraphBuilder('model')
  const inputs = {
    inputIds: g.input('input_ids', 'int32', ['batch', 'sequence']),
    attentionMask: g.input('attention_mask', 'int32', ['batch', 'sequence']),
  }
  const stored = resolveWeights(modelParameters(config, output), weights)
  const parts = constantParts(g, stored, precision, new Set(encoderParameters(config).keys()))
  g.output(output, modelOutput(g, config, parts, inputs, output))
  return g.build()
}

/** The same as the bytes of an ONNX file. Throws as `modelGraph`. */
export function buildModelGraph(
  config: ModelConfig,
  weights: ReadonlyMap<string, StoredTensor>,
  output: ModelOutput,
  precision: Precision = 'fp32',
): Uint8Array {
  return writeOnnx(modelGraph(config, weights, output, precision))
}
