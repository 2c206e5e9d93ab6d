import { LabelstreamError } from '../core/errors.ts'
import { toFloat32 } from '../formats/safetensors.ts'
import type { Tensor as StoredTensor } from '../formats/safetensors.ts'
import { GraphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/builder.ts'
import { writeOnnx } from '../graph/onnx.ts'
import type { Tensor } from '../graph/tensor.ts'
import { bertEncoder } from './bert.ts'
import type { ModelParts } from './bert.ts'
import type { ModelConfig } from './config.ts'
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
  const hidden = g.reshape(tokens, shape)
  if (output === 'hidden') return hidden
  const pooled = g.within('pool', () => pool(g, config, parts, hidden, attentionMask))
  return output === 'embedding' ? pooled : g.within('head', () => classify(g, config, parts, pooled))
}

/**
 * A model for inference in fp32: inputs `input_ids` and `attention_mask`, int32 [batch, sequence], one output
 * named as `output`. Throws MODEL_CORRUPT naming a missing or mis-shaped tensor, and MODEL_UNSUPPORTED for
 * logits of an encoder that has no head.
 */
export function modelGraph(
  config: ModelConfig,
  weights: ReadonlyMap<string, StoredTensor>,
  output: ModelOutput,
): Graph {
  if (output === 'logits' && config.labels.length === 0) {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      'the model is an encoder without a classifier: it has no labels to score',
    )
  }
  const stored = resolveWeights(modelParameters(config, output), weights)
  const g = new GraphBuilder('model')
  const made = new Map<string, Tensor>()
  const parameter = (name: string): Tensor => {
    const tensor = made.get(name) ?? constantOf(g, name, stored.get(name))
    made.set(name, tensor)
    return tensor
  }
  const inputs = {
    inputIds: g.input('input_ids', 'int32', ['batch', 'sequence']),
    attentionMask: g.input('attention_mask', 'int32', ['batch', 'sequence']),
  }
  g.output(output, modelOutput(g, config, { parameter, dropout: (x) => x }, inputs, output))
  return g.build()
}

/** The same as the bytes of an ONNX file. Throws as `modelGraph`. */
export function buildModelGraph(
  config: ModelConfig,
  weights: ReadonlyMap<string, StoredTensor>,
  output: ModelOutput,
): Uint8Array {
  return writeOnnx(modelGraph(config, weights, output))
}

function constantOf(g: GraphBuilder, name: string, stored: StoredTensor | undefined): Tensor {
  if (stored === undefined)
    throw new LabelstreamError('INTERNAL', `the graph asks for an undeclared parameter ${name}`)
  const values = toFloat32(stored, name)
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return g.initializer(name, 'float32', stored.shape, bytes)
}
