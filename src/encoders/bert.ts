import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'
import { activate } from './activation.ts'
import type { ModelConfig } from './config.ts'
import { layerPrefix } from './weights.ts'

/** Where dropout goes in training. `attention` is applied to the attention probabilities. */
export type DropoutSite = 'hidden' | 'attention' | 'head'

/** What a model's graph is made of: inference puts constants here, training puts inputs and dropout masks. */
export interface ModelParts {
  readonly parameter: (name: string) => Tensor
  /** Rows of an embedding table where they do not come from a `parameter` as it is: [...ids] to [...ids, width]. */
  readonly lookUp?: (ids: Tensor, name: string) => Tensor
  /** A linear layer of [rows, in] where it is not `parameter`s in fp32: 8-bit inference has its own. */
  readonly linear?: (x: Tensor, name: string) => Tensor
  /** The linear layers `inner` and `outer` with the activation between them, where they are not the one after the other. */
  readonly feedForward?: (x: Tensor, inner: string, outer: string) => Tensor
  /** Attention as one operator, which needs no transposed copies of its inputs; it has no gradient rule. */
  readonly attentionInOne?: boolean
  /** The operators that ONNX Runtime has for BERT on graphics processors, instead of ONNX's own; packed: without padding. */
  readonly joined?: 'joined' | 'packed'
  /** The same shape as `x`; inference returns `x` itself. */
  readonly dropout: (x: Tensor, site: DropoutSite) => Tensor
}

/** What an encoder reads: integers [batch, sequence]. */
export interface EncoderInputs {
  readonly inputIds: Tensor
  readonly attentionMask: Tensor
  /** Without it every token is of type 0. */
  readonly tokenTypeIds?: Tensor
}

/** The linear layer `name` (its `.weight` [out, in] and `.bias`) of `x` [rows, in]. */
export function linearLayer(g: GraphBuilder, parts: ModelParts, x: Tensor, name: string): Tensor {
  if (parts.linear !== undefined) return parts.linear(x, name)
  return g.linear(x, parts.parameter(`${name}.weight`), parts.parameter(`${name}.bias`))
}

/** A token that is not there gets this much added to its attention score: it fits fp16, and its exponential is 0. */
const maskedScore = -30_000

/**
 * BERT (Devlin et al. 2018, arXiv:1810.04805) as transformers computes it, and RoBERTa (Liu et al. 2019, arXiv:1907.11692)
 * and DistilBERT (Sanh et al. 2019, arXiv:1910.01108), which compute the same; without `tokenTypeIds` every token is of
 * type 0. The inputs are integers [batch, sequence]; the result is [batch * sequence, hidden]:
 * two axes all the way, because Gemm with its bias takes matrices. Computed in the parameters' element type.
 */
export function bertEncoder(
  g: GraphBuilder,
  config: ModelConfig,
  parts: ModelParts,
  { inputIds, attentionMask, tokenTypeIds }: EncoderInputs,
): Tensor {
  const headSize = config.hiddenSize / config.attentionHeads
  const batchAndSequence = g.shape(inputIds)
  const splitShape = g.concat([batchAndSequence, g.integers([config.attentionHeads, headSize])], 0)
  const { type } = parts.parameter('bert.embeddings.LayerNorm.weight')
  const maskBias = g.within('mask', () => {
    const absent = g.sub(g.scalar(1), g.cast(attentionMask, 'float32'))
    const bias = g.unsqueeze(g.mul(absent, g.scalar(maskedScore)), [1, 2])
    return g.cast(bias, type)
  })
  const scoreScale = g.scalar(1 / Math.sqrt(headSize), type)
  const lookUp = parts.lookUp ?? ((ids, name) => g.gather(parts.parameter(name), ids, 0))
  const linear = (x: Tensor, name: string): Tensor => linearLayer(g, parts, x, name)
  const feedForward =
    parts.feedForward ??
    ((x: Tensor, inner: string, outer: string) =>
      linear(activate(g, config.activation, linear(x, inner)), outer))
  const norm = (x: Tensor, name: string): Tensor =>
    g.layerNormalization(
      x,
      parts.parameter(`${name}.weight`),
      parts.parameter(`${name}.bias`),
      config.layerNormEpsilon,
    )

  /** [batch * sequence, hidden] to [batch, heads, sequence, headSize]. */
  const splitHeads = (x: Tensor): Tensor => g.transpose(g.reshape(x, splitShape), [0, 2, 1, 3])

  const attendInSteps = (query: Tensor, key: Tensor, value: Tensor): Tensor => {
    const keys = g.transpose(splitHeads(key), [0, 1, 3, 2])
    const scores = g.mul(g.matMul(splitHeads(query), keys), scoreScale)
    const probabilities = parts.dropout(g.softmax(g.add(scores, maskBias), -1), 'attention')
    return g.transpose(g.matMul(probabilities, splitHeads(value)), [0, 2, 1, 3])
  }

  const attendAtOnce = attentionInOne(g, config, parts, batchAndSequence, maskBias)

  const attend = (x: Tensor, prefix: string): Tensor => {
    const query = linear(x, `${prefix}.query`)
    const key = linear(x, `${prefix}.key`)
    const value = linear(x, `${prefix}.value`)
    const mixed = (attendAtOnce ?? attendInSteps)(query, key, value)
    return g.reshape(mixed, [-1, config.hiddenSize])
  }

  let hidden = g.within('embeddings', () => {
    const words = lookUp(inputIds, 'bert.embeddings.word_embeddings.weight')
    const positions = g.slice(usedPositions(g, config, parts), 0, 0, g.slice(batchAndSequence, 0, 1, 2))
    const places = withTokenTypes(g, config, parts, positions, tokenTypeIds)
    const sum = g.reshape(g.add(words, places), [-1, config.hiddenSize])
    return parts.dropout(norm(sum, 'bert.embeddings.LayerNorm'), 'hidden')
  })
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = layerPrefix(layer)
    hidden = g.within(`layer.${layer}`, () => {
      const mixed = linear(attend(hidden, `${prefix}.attention.self`), `${prefix}.attention.output.dense`)
      const attended = norm(
        g.add(parts.dropout(mixed, 'hidden'), hidden),
        `${prefix}.attention.output.LayerNorm`,
      )
      const fed = feedForward(attended, `${prefix}.intermediate.dense`, `${prefix}.output.dense`)
      return norm(g.add(parts.dropout(fed, 'hidden'), attended), `${prefix}.output.LayerNorm`)
    })
  }
  return hidden
}

/** The position table from the first token's row on, [positions, hidden]. */
export function usedPositions(
  g: GraphBuilder,
  { unusedPositions, maxPositions }: ModelConfig,
  { parameter }: Pick<ModelParts, 'parameter'>,
): Tensor {
  const table = parameter('bert.embeddings.position_embeddings.weight')
  return unusedPositions === 0 ? table : g.slice(table, 0, unusedPositions, unusedPositions + maxPositions)
}

/** Positions with the vectors of token types, of type 0 without `tokenTypeIds`, where the family knows types. */
export function withTokenTypes(
  g: GraphBuilder,
  { tokenTypes }: ModelConfig,
  { parameter }: Pick<ModelParts, 'parameter'>,
  positions: Tensor,
  tokenTypeIds?: Tensor,
): Tensor {
  if (tokenTypes === 0) return positions
  const table = parameter('bert.embeddings.token_type_embeddings.weight')
  return g.add(
    positions,
    tokenTypeIds === undefined ? g.slice(table, 0, 0, 1) : g.gather(table, tokenTypeIds, 0),
  )
}

/** Attention over [batch * sequence, hidden] as one operator, where the parts want it so. */
function attentionInOne(
  g: GraphBuilder,
  config: ModelConfig,
  parts: ModelParts,
  batchAndSequence: Tensor,
  maskBias: Tensor,
): ((query: Tensor, key: Tensor, value: Tensor) => Tensor) | undefined {
  if (parts.attentionInOne !== true) return undefined
  const [batch, sequence] = [g.slice(batchAndSequence, 0, 0, 1), g.slice(batchAndSequence, 0, 1, 2)]
  const rowShape = g.concat([batchAndSequence, g.integers([config.hiddenSize])], 0)
  const scoreShape = g.concat([batch, g.integers([1]), sequence, sequence], 0)
  const mask = g.within('mask', () => g.apply('Expand', [maskBias, scoreShape], {})[0])
  const heads = config.attentionHeads
  return (query, key, value) => {
    const [q, k, v] = [g.reshape(query, rowShape), g.reshape(key, rowShape), g.reshape(value, rowShape)]
    return g.apply('Attention', [q, k, v, mask], { q_num_heads: heads, kv_num_heads: heads })[0]
  }
}
