import { InferenceSession, Tensor } from 'onnxruntime-node'
import { monotonicMs } from '../core/clock.ts'
import { floatsToHalves } from '../core/half.ts'
import { seededRandom } from '../core/random.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { quantizeRows } from '../encoders/quantize.ts'
import { GraphBuilder } from '../graph/builder.ts'
import { writeOnnx } from '../graph/onnx.ts'
import type { Tensor as GraphTensor } from '../graph/tensor.ts'
import type { ConcretePrecision, ProductRate } from './messages.ts'

/** [in, out] of every linear layer in one layer of the encoder, in their order. */
function productShapes({
  hiddenSize,
  intermediateSize,
}: ModelConfig): readonly (readonly [number, number])[] {
  const square = [hiddenSize, hiddenSize] as const
  return [square, square, square, square, [hiddenSize, intermediateSize], [intermediateSize, hiddenSize]]
}

/** Multiply-adds of the encoder's linear layers for one token. Attention's own products come on top. */
export const multiplyAddsPerToken = (config: ModelConfig): number =>
  config.layers * productShapes(config).reduce((sum, [width, out]) => sum + width * out, 0)

/**
 * The matrix products of one encoder layer one after the other, with nothing between them, over random numbers: in
 * int8 each with its own quantisation, as one DynamicQuantizeMatMul. The median of the repetitions counts.
 */
export async function measureProducts(
  config: ModelConfig,
  precision: ConcretePrecision,
  options: InferenceSession.SessionOptions,
  { rows, repetitions }: { readonly rows: number; readonly repetitions: number },
): Promise<ProductRate> {
  const session = await InferenceSession.create(productChain(config, precision), options)
  try {
    const random = seededRandom(1)
    const values = Float32Array.from({ length: rows * config.hiddenSize }, () => random.next() * 2 - 1)
    const x = new Tensor('float32', values, [rows, config.hiddenSize])
    await session.run({ x })
    const seconds: number[] = []
    for (let repetition = 0; repetition < repetitions; repetition++) {
      const startedMs = monotonicMs()
      await session.run({ x })
      seconds.push((monotonicMs() - startedMs) / 1000)
    }
    seconds.sort((a, b) => a - b)
    return {
      seconds: seconds[seconds.length >>> 1] ?? NaN,
      multiplyAdds: (rows * multiplyAddsPerToken(config)) / config.layers,
      multiplyAddsPerToken: multiplyAddsPerToken(config),
    }
  } finally {
    await session.release()
  }
}

/**
 * One layer's products as ONNX, from `x` [rows, hidden] to the first row of the last one: copying a whole result out
 * of the session would be measured too. Both are in fp32: ONNX Runtime 1.30 takes no arrays of halves from Node 24, which has
 * a type of its own for them.
 */
export function productChain(config: ModelConfig, precision: ConcretePrecision): Uint8Array {
  const shapes = productShapes(config)
  const g = new GraphBuilder('products')
  const type = precision === 'fp16' ? 'float16' : 'float32'
  let x = g.cast(g.input('x', 'float32', ['rows', shapes[0]?.[0] ?? 0]), type)
  for (const [index, [width, out]] of shapes.entries()) x = product(g, x, `w${index}`, width, out, precision)
  g.output('y', g.cast(g.slice(x, 0, 0, 1), 'float32'))
  return writeOnnx(g.build())
}

function product(
  g: GraphBuilder,
  x: GraphTensor,
  name: string,
  width: number,
  out: number,
  precision: ConcretePrecision,
): GraphTensor {
  const random = seededRandom(width + out)
  // so that results stay about as large as what went in
  const weight = Float32Array.from(
    { length: width * out },
    () => (random.next() * 2 - 1) / Math.sqrt(width / 3),
  )
  if (precision === 'int8') {
    const { values, scales } = quantizeRows(weight, out, width)
    const bytes = g.initializer(name, 'int8', [width, out], new Uint8Array(values.buffer))
    const scale = g.initializer(`${name}_scale`, 'float32', [out], new Uint8Array(scales.buffer))
    return g.apply('DynamicQuantizeMatMul', [x, bytes, scale, undefined, undefined], {})[0]
  }
  const stored = precision === 'fp16' ? floatsToHalves(weight) : weight
  const type = precision === 'fp16' ? 'float16' : 'float32'
  return g.linear(x, g.initializer(name, type, [out, width], new Uint8Array(stored.buffer)), undefined)
}
