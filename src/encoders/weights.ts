import { LabelstreamError } from '../core/errors.ts'
import type { Tensor } from '../formats/safetensors.ts'
import type { ModelConfig } from './config.ts'
import { families } from './families.ts'

export type ParameterShapes = ReadonlyMap<string, readonly number[]>

/**
 * The encoder's parameters in the order in which model files hold them, named as BertForSequenceClassification
 * names them whatever the family; `storedName` says what a file calls them. Linear weights are [out, in].
 */
export function encoderParameters(config: ModelConfig): ParameterShapes {
  const { hiddenSize: hidden, intermediateSize: intermediate } = config
  const shapes = new Map<string, readonly number[]>()
  const linear = (name: string, out: number, width: number): void => {
    shapes.set(`${name}.weight`, [out, width]).set(`${name}.bias`, [out])
  }
  const norm = (name: string): void => {
    shapes.set(`${name}.weight`, [hidden]).set(`${name}.bias`, [hidden])
  }
  shapes.set('bert.embeddings.word_embeddings.weight', [config.vocabularySize, hidden])
  shapes.set('bert.embeddings.position_embeddings.weight', [
    config.unusedPositions + config.maxPositions,
    hidden,
  ])
  if (config.tokenTypes > 0) {
    shapes.set('bert.embeddings.token_type_embeddings.weight', [config.tokenTypes, hidden])
  }
  norm('bert.embeddings.LayerNorm')
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = layerPrefix(layer)
    linear(`${prefix}.attention.self.query`, hidden, hidden)
    linear(`${prefix}.attention.self.key`, hidden, hidden)
    linear(`${prefix}.attention.self.value`, hidden, hidden)
    linear(`${prefix}.attention.output.dense`, hidden, hidden)
    norm(`${prefix}.attention.output.LayerNorm`)
    linear(`${prefix}.intermediate.dense`, intermediate, hidden)
    linear(`${prefix}.output.dense`, hidden, intermediate)
    norm(`${prefix}.output.LayerNorm`)
  }
  return shapes
}

/** The pooler's dense layer, after the encoder in model files. Needed only for pooling `pooler`. */
export function poolerParameters(config: ModelConfig): ParameterShapes {
  return new Map([
    ['bert.pooler.dense.weight', [config.hiddenSize, config.hiddenSize]],
    ['bert.pooler.dense.bias', [config.hiddenSize]],
  ])
}

/** The head's parameters, last in model files: dense layers `head.0`, `head.1`, …, then `classifier`. */
export function headParameters(config: ModelConfig): ParameterShapes {
  const shapes = new Map<string, readonly number[]>()
  let width = config.hiddenSize
  for (const [index, out] of config.headHiddenSizes.entries()) {
    shapes.set(`head.${index}.weight`, [out, width]).set(`head.${index}.bias`, [out])
    width = out
  }
  if (config.labels.length > 0) {
    shapes
      .set('classifier.weight', [config.labels.length, width])
      .set('classifier.bias', [config.labels.length])
  }
  return shapes
}

/** What the names of the parameters of a label's own model start with. */
export const memberPrefix = (index: number): string => `label.${index}.`

/** The encoder's linear layers by name, in the order in which it has them. */
export function linearLayers(config: ModelConfig): string[] {
  const names = [...encoderParameters(config)].flatMap(([name, shape]) =>
    shape.length === 2 && name.startsWith('bert.encoder.') ? [name.replace(/\.weight$/, '')] : [],
  )
  if (!config.separateEncoders) return names
  return config.labels.flatMap((_label, index) => names.map((name) => `${memberPrefix(index)}${name}`))
}

export const layerPrefix = (layer: number): string => `bert.encoder.layer.${layer}`

type Names = Pick<ModelConfig, 'family' | 'hasNativeHead'>

/** What a model file of the family calls a parameter of ours. */
export function storedName(name: string, { family, hasNativeHead }: Names): string {
  const member = /^label\.\d+\./.exec(name)?.[0] ?? ''
  const own = name.slice(member.length)
  const { prefixes, parts, classifier } = families[family]
  const prefix = [...prefixes, ...(hasNativeHead ? classifier.names : [])].find(([ours]) =>
    own.startsWith(ours),
  )
  const part = parts.find(([ours]) => own.includes(ours))
  const renamed = prefix === undefined ? own : `${prefix[1]}${own.slice(prefix[0].length)}`
  return `${member}${part === undefined ? renamed : renamed.replace(...part)}`
}

/**
 * A model file's tensors under this program's names, in the order of `shapes`. Accepts files without the family's
 * prefix and TensorFlow's old `gamma` and `beta`. Throws MODEL_CORRUPT naming a tensor that is missing or has
 * another shape than config.json says.
 */
export function resolveWeights(
  shapes: ParameterShapes,
  weights: ReadonlyMap<string, Tensor>,
  config: Names,
): Map<string, Tensor> {
  const resolved = new Map<string, Tensor>()
  for (const [name, shape] of shapes) {
    const names = aliases(name, config)
    const tensor = names.flatMap((alias) => weights.get(alias) ?? [])[0]
    if (tensor === undefined) {
      throw new LabelstreamError(
        'MODEL_CORRUPT',
        `the model file has no tensor ${names[0]}, [${shape.join(', ')}]`,
      )
    }
    if (tensor.shape.join() !== shape.join()) {
      const found = `[${tensor.shape.join(', ')}]`
      throw new LabelstreamError(
        'MODEL_CORRUPT',
        `tensor ${names[0]} is ${found}, config.json asks for [${shape.join(', ')}]`,
      )
    }
    resolved.set(name, tensor)
  }
  return resolved
}

/** What a file may call a parameter, the usual name first. */
function aliases(name: string, config: Names): [string, ...string[]] {
  const usual = storedName(name, config)
  const bare = usual.startsWith(`${config.family}.`) ? [usual.slice(config.family.length + 1)] : []
  const old = (each: string): string =>
    each.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta')
  return [usual, ...bare, old(usual), ...bare.map(old)]
}
