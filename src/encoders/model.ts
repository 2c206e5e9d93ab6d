import { LabelstreamError } from '../core/errors.ts'
import type { Tensor as StoredTensor } from '../formats/safetensors.ts'
import { GraphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/builder.ts'
import { writeOnnx } from '../graph/onnx.ts'
import type { Tensor } from '../graph/tensor.ts'
import { activationExtremes } from './activation-ranges.ts'
import type { ActivationRanges } from './activation-ranges.ts'
import { bertEncoder, linearLayer } from './bert.ts'
import type { EncoderInputs, ModelParts } from './bert.ts'
import type { ModelConfig } from './config.ts'
import { constantParts } from './constants.ts'
import type { Precision } from './constants.ts'
import { classify, pool } from './head.ts'
import { joinedBertEncoder } from './joined-bert.ts'
import type { ModelOutput } from './output.ts'
import {
  encoderParameters,
  headParameters,
  memberPrefix,
  poolerParameters,
  resolveWeights,
} from './weights.ts'
import type { ParameterShapes } from './weights.ts'

/** The parameters that computing `output` takes, in the order of model files. */
export function modelParameters(config: ModelConfig, output: ModelOutput): ParameterShapes {
  if (config.separateEncoders) {
    return new Map(
      config.labels.flatMap((label, index) =>
        [...modelParameters(memberConfig(config, label), output)].map(
          ([name, shape]) => [`${memberPrefix(index)}${name}`, shape] as const,
        ),
      ),
    )
  }
  return new Map([
    ...encoderParameters(config),
    ...(isPooled(output) && config.pooling === 'pooler' ? poolerParameters(config) : []),
    ...(output === 'logits' ? headParameters(config) : []),
  ])
}

const isPooled = (output: ModelOutput): boolean => output === 'logits' || output === 'embedding'

/** One label's own model among separate encoders. */
export const memberConfig = (config: ModelConfig, label: string): ModelConfig => ({
  ...config,
  labels: [label],
  separateEncoders: false,
})

/** The tensor `output` of a model over its inputs. */
export function modelOutput(
  g: GraphBuilder,
  config: ModelConfig,
  parts: ModelParts,
  inputs: EncoderInputs,
  output: ModelOutput,
): Tensor {
  if (config.separateEncoders) return memberOutputs(g, config, parts, inputs, output)
  const { inputIds, attentionMask } = inputs
  if (output === 'activationExtremes') {
    const read = new Map<string, Tensor>()
    const watched: ModelParts = {
      ...parts,
      linear: (x, name) => {
        read.set(name, x)
        return linearLayer(g, parts, x, name)
      },
    }
    g.within('encoder', () => bertEncoder(g, config, watched, inputs))
    return activationExtremes(g, config, read, attentionMask)
  }
  const { joined } = parts
  const tokens = g.within('encoder', () =>
    joined === undefined
      ? bertEncoder(g, config, parts, inputs)
      : joinedBertEncoder(g, config, parts, joined, inputs),
  )
  const shape = g.concat([g.shape(inputIds), g.integers([config.hiddenSize])], 0)
  const hidden = g.cast(g.reshape(tokens, shape), 'float32')
  if (output === 'hidden') return hidden
  const pooled = g.within('pool', () => pool(g, config, parts, hidden, attentionMask))
  return output === 'embedding' ? pooled : g.within('head', () => classify(g, config, parts, pooled))
}

/** The outputs of one model a label, side by side. */
function memberOutputs(
  g: GraphBuilder,
  config: ModelConfig,
  parts: ModelParts,
  inputs: EncoderInputs,
  output: ModelOutput,
): Tensor {
  if (output !== 'logits' && output !== 'activationExtremes') {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      'a model with an encoder for each label has no single embedding: start from an encoder',
    )
  }
  const outputs = config.labels.map((label, index) => {
    const prefix = memberPrefix(index)
    const { linear, feedForward, lookUp, parameter } = parts
    const own: ModelParts = {
      ...parts,
      parameter: (name) => parameter(`${prefix}${name}`),
      ...(lookUp === undefined
        ? {}
        : { lookUp: (ids: Tensor, name: string) => lookUp(ids, `${prefix}${name}`) }),
      ...(linear === undefined ? {} : { linear: (x: Tensor, name: string) => linear(x, `${prefix}${name}`) }),
      ...(feedForward === undefined
        ? {}
        : {
            feedForward: (x: Tensor, inner: string, outer: string) =>
              feedForward(x, `${prefix}${inner}`, `${prefix}${outer}`),
          }),
    }
    return g.within(`label.${index}`, () => modelOutput(g, memberConfig(config, label), own, inputs, output))
  })
  return g.concat(outputs, 1)
}

/** The parameters that follow the precision: everything before pooling. */
function encoderNames(config: ModelConfig): Set<string> {
  const names = [...encoderParameters(config).keys()]
  if (!config.separateEncoders) return new Set(names)
  return new Set(
    config.labels.flatMap((_label, index) => names.map((name) => `${memberPrefix(index)}${name}`)),
  )
}

/**
 * served: int32 inputs `input_ids` and `attention_mask`, the operators that are fastest on a CPU in this program's ONNX
 * Runtime. stepwise: the same without operators that only its CPU provider is sure to have. joined: the operators
 * that it has for BERT on graphics processors; packed: these, over the tokens alone without padding, on CUDA only.
 * portable: the interface of exported BERT models elsewhere (int64, with `token_type_ids`) and no operator younger than
 * ONNX 1.15, so that other programs and older runtimes take it.
 */
export type GraphForm = 'served' | 'stepwise' | 'joined' | 'packed' | 'portable'

/**
 * A model for inference: integer inputs [batch, sequence] as its form says, one output named as `output`, float32. The
 * precision is the encoder's; pooling and head are fp32 always. `ranges` are for int8: without
 * them a row's numbers depend on its batch. Throws MODEL_CORRUPT naming a missing or mis-shaped tensor, and MODEL_UNSUPPORTED for logits of an encoder that has no head.
 */
export function modelGraph(
  config: ModelConfig,
  weights: ReadonlyMap<string, StoredTensor>,
  output: ModelOutput,
  precision: Precision = 'fp32',
  ranges?: ActivationRanges,
  form: GraphForm = 'served',
): Graph {
  if (output === 'logits' && config.labels.length === 0) {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      'the model is an encoder without a classifier: it has no labels to score',
    )
  }
  const g = new GraphBuilder('model')
  const inputs = graphInputs(g, form)
  const stored = resolveWeights(modelParameters(config, output), weights, config)
  const parts = constantParts(g, stored, precision, encoderNames(config), {
    activation: config.activation,
    ranges,
  })
  const chosen = { ...parts, ...partsOfForm(precision, form) }
  g.output(output, modelOutput(g, config, chosen, inputs, output))
  return g.build()
}

/** int8 has operators of its own, which no form joins. */
function partsOfForm(precision: Precision, form: GraphForm): Partial<ModelParts> {
  if (form === 'served') return {}
  const isJoined = (form === 'joined' || form === 'packed') && precision !== 'int8'
  return isJoined ? { joined: form } : { attentionInOne: false }
}

function graphInputs(g: GraphBuilder, form: GraphForm): EncoderInputs {
  const input = (name: string): Tensor =>
    g.input(name, form === 'portable' ? 'int64' : 'int32', ['batch', 'sequence'])
  const inputs = { inputIds: input('input_ids'), attentionMask: input('attention_mask') }
  return form === 'portable' ? { ...inputs, tokenTypeIds: input('token_type_ids') } : inputs
}

/** The same as the bytes of an ONNX file. Throws as `modelGraph`. */
export function buildModelGraph(...model: Parameters<typeof modelGraph>): Uint8Array {
  return writeOnnx(modelGraph(...model))
}
