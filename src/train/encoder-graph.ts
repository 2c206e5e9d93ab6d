import type { ModelParts } from '../encoders/bert.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { modelOutput, modelParameters } from '../encoders/model.ts'
import { GraphBuilder } from '../graph/builder.ts'
import { addGradients } from '../graph/gradient/backward.ts'
import { writeOnnx } from '../graph/onnx.ts'
import type { Shape } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { withoutCopies } from '../runtime/array-session.ts'
import { type LossKind, trainingLoss } from './training-loss.ts'

/** The table of which a batch uses few rows: its gradient comes one row a token. */
export const wordTable = 'bert.embeddings.word_embeddings.weight'

export interface EncoderGraphOptions {
  readonly loss: LossKind
  /** Dropout rates; a site with the rate 0 has no mask. */
  readonly dropout: { readonly hidden: number; readonly attention: number; readonly head: number }
  /** Names of the parameters that stay as they are. */
  readonly frozen: ReadonlySet<string>
}

export interface DropoutInput {
  readonly name: string
  /** In numbers, `batch`, `sequence` and products of these. */
  readonly shape: Shape
  readonly rate: number
}

export interface EncoderGraphs {
  /**
   * Inputs: input_ids and attention_mask int32 [batch, sequence]; targets and mask [batch, labels];
   * positiveWeight [labels]; scale []; every parameter by name; the dropout masks. Outputs: `loss`, and `gradient:NAME` of
   * every trained parameter, where that of the word table is [batch * sequence, hidden], one row a token.
   */
  readonly gradients: Uint8Array
  /** input_ids, attention_mask and the parameters to logits [batch, labels]. */
  readonly forward: Uint8Array
  readonly dropoutInputs: readonly DropoutInput[]
  /** Trained parameters in the order of model files. */
  readonly trained: readonly string[]
}

/** The graphs that train a whole encoder with its head: one encoder definition, differentiated. */
export function buildEncoderGraphs(config: ModelConfig, options: EncoderGraphOptions): EncoderGraphs {
  return { ...gradientGraph(config, options), forward: forwardGraph(config) }
}

/** The output of the gradient graph that holds a parameter's gradient. */
export const gradientName = (parameter: string): string => `gradient:${parameter}`

function gradientGraph(config: ModelConfig, options: EncoderGraphOptions): Omit<EncoderGraphs, 'forward'> {
  const g = new GraphBuilder('encoder-gradients')
  const inputs = encoderInputs(g)
  const cells = ['batch', config.labels.length]
  const targets = g.input('targets', 'float32', cells)
  const mask = g.input('mask', 'float32', cells)
  const positiveWeight = g.input('positiveWeight', 'float32', [config.labels.length])
  const scale = g.input('scale', 'float32', [])
  const parameters = parameterInputs(g, config)

  const dropoutInputs: DropoutInput[] = []
  const dropout: ModelParts['dropout'] = (x, site) => {
    const rate = options.dropout[site]
    if (rate === 0) return x
    const name = `dropout.${dropoutInputs.length}`
    dropoutInputs.push({ name, shape: x.shape, rate })
    return g.mul(x, g.input(name, 'float32', x.shape))
  }
  const parts = { parameter: lookup(parameters), dropout }
  const logits = modelOutput(g, config, parts, inputs, 'logits')
  const loss = trainingLoss(g, options.loss, { logits, targets, mask, positiveWeight, scale })
  g.output('loss', loss)

  const trained = [...parameters.keys()].filter((name) => !options.frozen.has(name))
  const gradientTargets = trained.map((name) =>
    name === wordTable ? rowsTakenFrom(g, lookup(parameters)(name)) : lookup(parameters)(name),
  )
  addGradients(g, loss, gradientTargets).forEach((gradient, index) => {
    const name = trained[index] ?? ''
    const shaped = name === wordTable ? g.reshape(gradient, [-1, config.hiddenSize]) : gradient
    g.output(gradientName(name), shaped)
  })
  return { gradients: writeOnnx(g.build(), withoutCopies), dropoutInputs, trained }
}

/** The rows that the graph looks up in a table. */
function rowsTakenFrom(g: GraphBuilder, table: Tensor): Tensor {
  const [node] = g.build().nodes.filter(({ op, inputs }) => op === 'Gather' && inputs[0]?.name === table.name)
  if (node === undefined) throw new RangeError(`the graph looks nothing up in ${table.name}`)
  return node.outputs[0]
}

function forwardGraph(config: ModelConfig): Uint8Array {
  const g = new GraphBuilder('encoder-forward')
  const inputs = encoderInputs(g)
  const parts = { parameter: lookup(parameterInputs(g, config)), dropout: (x: Tensor) => x }
  g.output('logits', modelOutput(g, config, parts, inputs, 'logits'))
  return writeOnnx(g.build(), withoutCopies)
}

const encoderInputs = (g: GraphBuilder): { inputIds: Tensor; attentionMask: Tensor } => ({
  inputIds: g.input('input_ids', 'int32', ['batch', 'sequence']),
  attentionMask: g.input('attention_mask', 'int32', ['batch', 'sequence']),
})

const parameterInputs = (g: GraphBuilder, config: ModelConfig): Map<string, Tensor> =>
  new Map(
    [...modelParameters(config, 'logits')].map(([name, shape]) => [name, g.input(name, 'float32', shape)]),
  )

const lookup =
  (parameters: ReadonlyMap<string, Tensor>) =>
  (name: string): Tensor => {
    const tensor = parameters.get(name)
    if (tensor === undefined) throw new RangeError(`the model has no parameter ${name}`)
    return tensor
  }
