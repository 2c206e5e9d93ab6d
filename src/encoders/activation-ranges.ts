import { z } from 'zod'
import { LabelstreamError } from '../core/errors.ts'
import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { ModelConfig } from './config.ts'
import { linearLayers } from './weights.ts'

/** Beside model.safetensors, where a version brings it: the ranges that its activations had on training texts. */
export const activationRangesFile = 'activation-ranges.json'
export const maxActivationRangesBytes = 16 * 1_048_576

/** Smallest and largest value that a linear layer reads, 0 included, by the layer's name. */
export type ActivationRanges = ReadonlyMap<string, readonly [least: number, most: number]>

const fileSchema = z.object({
  format: z.literal(1),
  /** How many texts were looked at. */
  texts: z.int().min(1),
  ranges: z.record(z.string(), z.tuple([z.number().max(0), z.number().min(0)])),
})

/** Reads activation-ranges.json's text. Throws MODEL_CORRUPT naming `path` and what does not fit. */
export function parseActivationRanges(text: string, config: ModelConfig, path: string): ActivationRanges {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new LabelstreamError('MODEL_CORRUPT', `${path}: not valid JSON`)
  }
  const parsed = fileSchema.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new LabelstreamError(
      'MODEL_CORRUPT',
      `${path}: ${issue?.path.join('.') ?? 'the document'}: ${issue?.message ?? 'does not fit'}`,
    )
  }
  const { ranges } = parsed.data
  return new Map(
    linearLayers(config).map((name) => {
      const range = Object.hasOwn(ranges, name) ? ranges[name] : undefined
      if (range === undefined) {
        throw new LabelstreamError('MODEL_CORRUPT', `${path} has no range for ${name}`)
      }
      return [name, range]
    }),
  )
}

/**
 * The text of activation-ranges.json. `extremes` has a row a text, as `activationExtremes` gives them. A range is the
 * mean over the texts: a single odd one would make it, and so every step, too wide for all others. Four digits are
 * kept, so that the last bits of a sum never make another file.
 */
export function activationRangesJson(config: ModelConfig, extremes: readonly Float32Array[]): string {
  const mean = (column: number): number => {
    const sum = extremes.reduce((total, row) => total + Math.max(0, row[column] ?? NaN), 0)
    return Number((sum / extremes.length).toPrecision(4))
  }
  const ranges = Object.fromEntries(
    linearLayers(config).map((name, index) => [name, [0 - mean(2 * index + 1), mean(2 * index)]]),
  )
  return `${JSON.stringify({ format: 1, texts: extremes.length, ranges }, undefined, 2)}\n`
}

/**
 * Scale and zero point of 8 bits for a range that holds 0, as DynamicQuantizeLinear computes them from a tensor's own
 * (https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html). Nothing but zeros has a scale of 1.
 */
export function quantization([least, most]: readonly [number, number]): { scale: number; zeroPoint: number } {
  const scale = Math.fround((most - least) / 255)
  if (scale === 0) return { scale: 1, zeroPoint: 0 }
  return { scale, zeroPoint: Math.min(255, Math.max(0, Math.round(-least / scale))) }
}

/**
 * What every text's largest and smallest activations are, [batch, 2 x layers]: for each of `linearLayers` the largest,
 * and the smallest with its sign turned, so that the windows of a text are joined by their maximum. `read` has what
 * each layer reads, [batch x sequence, width]; padding counts as 0.
 */
export function activationExtremes(
  g: GraphBuilder,
  config: ModelConfig,
  read: ReadonlyMap<string, Tensor>,
  attentionMask: Tensor,
): Tensor {
  const mask = g.cast(attentionMask, 'float32')
  const shape = g.shape(attentionMask)
  const made = new Map<string, readonly [Tensor, Tensor]>()
  const largest = (x: Tensor): Tensor => {
    const tokens = g.reshape(g.apply('ReduceMax', [x, g.integers([1])], { keepdims: 0 })[0], shape)
    return g.apply('ReduceMax', [g.mul(tokens, mask), g.integers([1])], { keepdims: 1 })[0]
  }
  const pairs = linearLayers(config).flatMap((name) => {
    const x = read.get(name)
    if (x === undefined) throw new LabelstreamError('INTERNAL', `the encoder has no layer ${name}`)
    const pair = made.get(x.name) ?? [largest(x), largest(g.apply('Neg', [x], {})[0])]
    made.set(x.name, pair)
    return pair
  })
  return g.concat(pairs, 1)
}
