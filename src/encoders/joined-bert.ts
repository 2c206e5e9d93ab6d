import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'
import { activate } from './activation.ts'
import { type EncoderInputs, type ModelParts, usedPositions, withTokenTypes } from './bert.ts'
import type { ModelConfig } from './config.ts'
import { layerPrefix } from './weights.ts'

/**
 * The encoder of `bertEncoder` in the operators that ONNX Runtime has for BERT beside ONNX's own: on a graphics
 * processor each is one kernel, where the small operators it replaces wait for memory. The same inputs and result,
 * [batch * sequence, hidden]; every token is of type 0, and a row's padding stands behind its tokens.
 */
export function joinedBertEncoder(
  g: GraphBuilder,
  config: ModelConfig,
  { parameter }: ModelParts,
  kind: 'joined' | 'packed',
  { inputIds, attentionMask }: EncoderInputs,
): Tensor {
  const epsilon = config.layerNormEpsilon
  const bias = (name: string): Tensor => parameter(`${name}.bias`)
  const product = (x: Tensor, name: string): Tensor => g.linear(x, parameter(`${name}.weight`), undefined)
  /** Of x + skip, where x is the linear layer `name` without its bias. */
  const addAndNormalise = (x: Tensor, skip: Tensor, name: string, norm: string): Tensor => {
    const inputs = [x, skip, parameter(`${norm}.weight`), bias(norm), bias(name)] as const
    return g.apply('SkipLayerNormalization', inputs, { epsilon })[0]
  }
  const inner = (x: Tensor, name: string): Tensor =>
    config.activation === 'gelu'
      ? g.apply('BiasGelu', [product(x, name), bias(name)], {})[0]
      : activate(g, config.activation, g.linear(x, parameter(`${name}.weight`), bias(name)))

  const [embedded, tokenCounts] = g.within('embeddings', () => {
    const positions = usedPositions(g, config, { parameter })
    return g.apply(
      'EmbedLayerNormalization',
      [
        inputIds,
        undefined,
        parameter('bert.embeddings.word_embeddings.weight'),
        // constants, which ONNX Runtime adds once in fp32; in halves it adds them in each run, [positions, hidden]
        withTokenTypes(g, config, { parameter }, positions),
        undefined,
        parameter('bert.embeddings.LayerNorm.weight'),
        bias('bert.embeddings.LayerNorm'),
        attentionMask,
      ],
      { epsilon },
    )
  })
  const rows = [-1, config.hiddenSize]
  const whole = g.shape(embedded)
  const [tokens, tokenOffsets, cumulatedCounts] =
    kind === 'packed' ? g.apply('RemovePadding', [embedded, tokenCounts], {}) : [g.reshape(embedded, rows)]

  const attend = (x: Tensor, prefix: string): Tensor => {
    const names = ['query', 'key', 'value'].map((part) => `${prefix}.${part}`)
    // constants, which ONNX Runtime turns and joins once: [hidden, 3 * hidden]
    const weights = g.concat(
      names.map((name) => g.transpose(parameter(`${name}.weight`), [1, 0])),
      1,
    )
    const biases = g.concat(names.map(bias), 0)
    const attributes = { num_heads: config.attentionHeads }
    if (tokenOffsets !== undefined && cumulatedCounts !== undefined) {
      return g.apply('PackedAttention', [x, weights, biases, tokenOffsets, cumulatedCounts], attributes)[0]
    }
    const batches = g.reshape(x, whole)
    return g.reshape(g.apply('JoinedAttention', [batches, weights, biases, tokenCounts], attributes)[0], rows)
  }

  let hidden = tokens
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = layerPrefix(layer)
    hidden = g.within(`layer.${layer}`, () => {
      const self = `${prefix}.attention.output`
      const mixed = product(attend(hidden, `${prefix}.attention.self`), `${self}.dense`)
      const attended = addAndNormalise(mixed, hidden, `${self}.dense`, `${self}.LayerNorm`)
      const outer = product(inner(attended, `${prefix}.intermediate.dense`), `${prefix}.output.dense`)
      return addAndNormalise(outer, attended, `${prefix}.output.dense`, `${prefix}.output.LayerNorm`)
    })
  }
  if (tokenOffsets === undefined) return hidden
  return g.reshape(g.apply('RestorePadding', [hidden, tokenOffsets], {})[0], rows)
}
