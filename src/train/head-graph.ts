import type { ModelConfig } from '../encoders/config.ts'
import { classify } from '../encoders/head.ts'
import { headParameters } from '../encoders/weights.ts'
import { GraphBuilder } from '../graph/builder.ts'
import { addGradients } from '../graph/gradient/backward.ts'
import { writeOnnx } from '../graph/onnx.ts'
import type { Tensor } from '../graph/tensor.ts'
import { adamW, defaultAdamW } from './adamw.ts'
import { binaryCrossEntropy } from './loss.ts'

export interface HeadGraphOptions {
  readonly weightDecay: number
  /** Dropout rate before each linear layer; 0 leaves the mask inputs out. */
  readonly dropout: number
}

export interface HeadGraphs {
  /** One AdamW step; see `TrainingOptions.step`. Batch inputs: embedding, targets, mask, positiveWeight, the scalars, masks. */
  readonly step: Uint8Array
  /** embedding [rows, hidden] to logits [rows, labels]. */
  readonly forward: Uint8Array
  /** Widths of the dropout mask inputs `dropout.0`, `dropout.1`, …, each [rows, width]. */
  readonly dropoutWidths: readonly number[]
  /** State arrays by name: parameters, and their moments as NAME:first and NAME:second. */
  readonly stateShapes: ReadonlyMap<string, readonly number[]>
}

/** The graphs that train a head on cached embeddings, the encoder frozen. */
export function buildHeadGraphs(config: ModelConfig, options: HeadGraphOptions): HeadGraphs {
  const shapes = headParameters(config)
  const { step, dropoutWidths } = stepGraph(config, options)
  return {
    step,
    forward: forwardGraph(config),
    dropoutWidths,
    stateShapes: new Map(
      [...shapes].flatMap(([name, shape]) =>
        [name, `${name}:first`, `${name}:second`].map((each): [string, readonly number[]] => [each, shape]),
      ),
    ),
  }
}

function stepGraph(
  config: ModelConfig,
  { weightDecay, dropout }: HeadGraphOptions,
): { step: Uint8Array; dropoutWidths: number[] } {
  const g = new GraphBuilder('head-step')
  const embedding = g.input('embedding', 'float32', ['rows', config.hiddenSize])
  const cells = ['rows', config.labels.length]
  const targets = g.input('targets', 'float32', cells)
  const mask = g.input('mask', 'float32', cells)
  const positiveWeight = g.input('positiveWeight', 'float32', [config.labels.length])
  const scalars = {
    learningRate: g.input('learningRate', 'float32', []),
    firstCorrection: g.input('firstCorrection', 'float32', []),
    secondCorrection: g.input('secondCorrection', 'float32', []),
  }
  const parameters = parameterInputs(g, config)

  const dropoutWidths: number[] = []
  const drop = (x: Tensor): Tensor => {
    if (dropout === 0) return x
    const name = `dropout.${dropoutWidths.length}`
    dropoutWidths.push(Number(x.shape[1]))
    return g.mul(x, g.input(name, 'float32', x.shape))
  }
  const parameter = (name: string): Tensor => parameters.get(name) ?? missing(name)
  const logits = classify(g, config, { parameter, dropout: drop }, embedding)
  const loss = binaryCrossEntropy(g, { logits, targets, mask, positiveWeight })
  g.output('loss', loss)

  const gradients = addGradients(g, loss, [...parameters.values()])
  ;[...parameters.values()].forEach((tensor, index) => {
    const gradient = gradients[index] ?? missing(tensor.name)
    const before = {
      parameter: tensor,
      first: g.input(`${tensor.name}:first`, 'float32', tensor.shape),
      second: g.input(`${tensor.name}:second`, 'float32', tensor.shape),
    }
    // Biases are not decayed: decay would pull the label priors they hold towards one half.
    const decay = tensor.shape.length > 1 ? weightDecay : 0
    const after = adamW(g, before, gradient, scalars, { ...defaultAdamW, weightDecay: decay })
    g.output(`${tensor.name}:next`, after.parameter)
    g.output(`${tensor.name}:first:next`, after.first)
    g.output(`${tensor.name}:second:next`, after.second)
  })
  return { step: writeOnnx(g.build()), dropoutWidths }
}

function forwardGraph(config: ModelConfig): Uint8Array {
  const g = new GraphBuilder('head-forward')
  const embedding = g.input('embedding', 'float32', ['rows', config.hiddenSize])
  const parameters = parameterInputs(g, config)
  const parameter = (name: string): Tensor => parameters.get(name) ?? missing(name)
  g.output('logits', classify(g, config, { parameter, dropout: (x) => x }, embedding))
  return writeOnnx(g.build())
}

const parameterInputs = (g: GraphBuilder, config: ModelConfig): Map<string, Tensor> =>
  new Map([...headParameters(config)].map(([name, shape]) => [name, g.input(name, 'float32', shape)]))

function missing(name: string): never {
  throw new RangeError(`the head has no parameter ${name}`)
}
