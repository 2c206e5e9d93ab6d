import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { GraphBuilder, toTheEnd } from '../../src/graph/builder.ts'
import { writeOnnx } from '../../src/graph/onnx.ts'
import type { Op } from '../../src/graph/operators.ts'
import type { Dimension, Shape } from '../../src/graph/shape.ts'
import type { ElementType, Tensor } from '../../src/graph/tensor.ts'

/** The sizes that the symbols have when a case runs. */
const sizes: Readonly<Record<string, number>> = { batch: 2, sequence: 3 }

/** The value of a symbolic size: products of symbols, numbers and sums in brackets. */
function evaluate(dimension: Dimension): number {
  if (typeof dimension === 'number') return dimension
  const withNumbers = dimension
    .replaceAll(/[a-z]+/g, (symbol) => String(sizes[symbol] ?? NaN))
    .replaceAll(/\(([\d+]+)\)/g, (_, sum: string) =>
      String(sum.split('+').reduce((total, part) => total + Number(part), 0)),
    )
  return withNumbers.split('*').reduce((product, factor) => product * Number(factor), 1)
}

const binary = (op: 'Add' | 'Sub' | 'Mul' | 'Div' | 'Pow' | 'Max' | 'Min') => (g: GraphBuilder) =>
  g.apply(op, [g.input('a', 'float32', ['batch', 1, 4]), g.input('b', 'float32', ['sequence', 1])], {})
const comparison =
  (op: 'Less' | 'LessOrEqual' | 'Greater' | 'GreaterOrEqual' | 'Equal') => (g: GraphBuilder) =>
    g.apply(op, [g.input('a', 'float32', ['batch', 4]), g.input('b', 'float32', [])], {})
const logical = (op: 'And' | 'Or') => (g: GraphBuilder) =>
  g.apply(op, [g.input('a', 'bool', ['batch', 4]), g.input('b', 'bool', [4])], {})
type Unary =
  | 'Neg'
  | 'Abs'
  | 'Sign'
  | 'Sqrt'
  | 'Reciprocal'
  | 'Exp'
  | 'Log'
  | 'Erf'
  | 'Tanh'
  | 'Sigmoid'
  | 'Softplus'
  | 'Relu'
  | 'Identity'
const unary = (op: Unary) => (g: GraphBuilder) => g.apply(op, [g.input('a', 'float32', ['batch', 4])], {})
const reduction = (op: 'ReduceSum' | 'ReduceMean' | 'ReduceMax' | 'ReduceSumSquare') => (g: GraphBuilder) => {
  const x = g.input('a', 'float32', ['batch', 'sequence', 4])
  return [g.apply(op, [x, g.integers([-1])], {})[0], g.apply(op, [x, g.integers([0, 2])], { keepdims: 0 })[0]]
}
const floats = (g: GraphBuilder): Tensor => g.input('a', 'float32', ['batch', 'sequence', 4])

const integers = (g: GraphBuilder, name: string): Tensor => g.input(name, 'int32', ['batch', 'sequence'])
const joinedWeights = (g: GraphBuilder): [Tensor, Tensor] => [
  g.input('b', 'float32', [4, 12]),
  g.input('c', 'float32', [12]),
]

/** One use of every operator, with symbolic sizes where it takes them. */
const cases: { readonly [O in Op]: (g: GraphBuilder) => readonly Tensor[] } = {
  Add: binary('Add'),
  Sub: binary('Sub'),
  Mul: binary('Mul'),
  Div: binary('Div'),
  Pow: binary('Pow'),
  Max: binary('Max'),
  Min: binary('Min'),
  Neg: unary('Neg'),
  Abs: unary('Abs'),
  Sign: unary('Sign'),
  Sqrt: unary('Sqrt'),
  Reciprocal: unary('Reciprocal'),
  Exp: unary('Exp'),
  Log: unary('Log'),
  Erf: unary('Erf'),
  Tanh: unary('Tanh'),
  Sigmoid: unary('Sigmoid'),
  Softplus: unary('Softplus'),
  Relu: unary('Relu'),
  Identity: unary('Identity'),
  Gelu: (g) => [g.apply('Gelu', [floats(g)], { approximate: 'tanh' })[0]],
  Cast: (g) => {
    const x = floats(g)
    return (['int64', 'int32', 'bool', 'uint8', 'int8'] as const).map((to) => g.cast(x, to))
  },
  MatMul: (g) => [g.matMul(floats(g), g.input('b', 'float32', [4, 5]))],
  Gemm: (g) => [
    g.linear(
      g.input('a', 'float32', ['batch', 4]),
      g.input('b', 'float32', [5, 4]),
      g.input('c', 'float32', [5]),
    ),
    g.apply('Gemm', [g.input('d', 'float32', [4, 'batch']), g.input('e', 'float32', [4, 6]), undefined], {
      transA: 1,
      alpha: 2,
    })[0],
  ],
  Softmax: (g) => [g.softmax(floats(g), -1)],
  LogSoftmax: (g) => g.apply('LogSoftmax', [floats(g)], { axis: -1 }),
  LayerNormalization: (g) =>
    g.apply('LayerNormalization', [floats(g), g.input('b', 'float32', [4]), g.input('c', 'float32', [4])], {
      axis: -1,
      epsilon: 1e-5,
    }),
  ReduceSum: reduction('ReduceSum'),
  ReduceMean: reduction('ReduceMean'),
  ReduceMax: reduction('ReduceMax'),
  ReduceSumSquare: reduction('ReduceSumSquare'),
  Shape: (g) => [g.shape(floats(g))],
  Reshape: (g) => {
    const x = floats(g)
    return [
      g.reshape(x, [-1, 2]),
      g.reshape(x, [0, 0, 2, 2]),
      g.reshape(x, g.concat([g.integers([1]), g.shape(x)], 0)),
      g.reshape(g.reshape(x, [-1]), g.shape(x)),
    ]
  },
  Transpose: (g) => [g.transpose(floats(g), [2, 0, 1])],
  Expand: (g) =>
    g.apply(
      'Expand',
      [g.input('a', 'float32', ['sequence', 1]), g.shape(g.input('b', 'float32', ['batch', 1, 4]))],
      {},
    ),
  Squeeze: (g) => [g.squeeze(g.input('a', 'float32', ['batch', 1, 4, 1]), [1, -1])],
  Unsqueeze: (g) => [g.unsqueeze(floats(g), [0, -1]), g.unsqueeze(g.scalar(3, 'int64'), [0])],
  Concat: (g) => {
    const x = floats(g)
    return [g.concat([x, x, x], 2), g.concat([x, g.input('b', 'float32', ['batch', 1, 4])], 1)]
  },
  Slice: (g) => {
    const x = floats(g)
    const table = g.input('b', 'float32', [9, 4])
    return [
      g.slice(table, 0, 0, g.sizeOf(x, 1)),
      g.slice(table, 0, 2, 5),
      g.slice(table, 0, -3, toTheEnd),
      g.slice(x, 1, 0, toTheEnd),
    ]
  },
  Gather: (g) => [
    g.gather(g.input('a', 'float32', [6, 4]), g.input('b', 'int32', ['batch', 'sequence']), 0),
    g.gather(g.input('c', 'float32', ['batch', 'sequence', 4]), g.scalar(0, 'int64'), 1),
    g.sizeOf(g.input('d', 'float32', ['batch', 'sequence']), -1),
  ],
  ScatterElements: (g) => {
    const [indices, updates] = [g.input('b', 'int64', ['batch', 4]), g.input('c', 'float32', ['batch', 4])]
    return g.apply('ScatterElements', [g.input('a', 'float32', [6, 4]), indices, updates], {
      axis: 0,
      reduction: 'add',
    })
  },
  ScatterND: (g) => {
    const [indices, updates] = [g.input('b', 'int64', ['batch', 1]), g.input('c', 'float32', ['batch', 4])]
    return g.apply('ScatterND', [g.input('a', 'float32', [6, 4]), indices, updates], { reduction: 'add' })
  },
  Range: (g) => {
    const sequence = g.squeeze(g.sizeOf(floats(g), 1), [0])
    return g.apply('Range', [g.scalar(0, 'int64'), sequence, g.scalar(1, 'int64')], {})
  },
  ConstantOfShape: (g) => g.apply('ConstantOfShape', [g.shape(floats(g))], { value: 1.5, type: 'float32' }),
  Less: comparison('Less'),
  LessOrEqual: comparison('LessOrEqual'),
  Greater: comparison('Greater'),
  GreaterOrEqual: comparison('GreaterOrEqual'),
  Equal: comparison('Equal'),
  And: logical('And'),
  Or: logical('Or'),
  Not: (g) => g.apply('Not', [g.input('a', 'bool', ['batch'])], {}),
  Where: (g) => {
    const [yes, no] = [g.input('b', 'float32', [4]), g.input('c', 'float32', [])]
    return g.apply('Where', [g.input('a', 'bool', ['batch', 'sequence', 1]), yes, no], {})
  },
  Attention: (g) => {
    const [q, k, v] = ['a', 'b', 'c'].map((name) => g.input(name, 'float32', ['batch', 'sequence', 4])) as [
      Tensor,
      Tensor,
      Tensor,
    ]
    const mask = g.input('d', 'float32', ['batch', 1, 'sequence', 'sequence'])
    return g.apply('Attention', [q, k, v, mask], { q_num_heads: 2, kv_num_heads: 2 })
  },
  QuantizeLinear: (g) => g.apply('QuantizeLinear', [floats(g), g.scalar(0.1), g.scalar(128, 'uint8')], {}),
  DynamicQuantizeLinear: (g) => g.apply('DynamicQuantizeLinear', [floats(g)], {}),
  MatMulInteger: (g) =>
    g.apply(
      'MatMulInteger',
      [g.input('a', 'uint8', ['batch', 4]), g.input('b', 'int8', [4, 5]), undefined, undefined],
      {},
    ),
  MatMulIntegerToFloat: (g) =>
    g.apply(
      'MatMulIntegerToFloat',
      [
        g.input('a', 'uint8', ['batch', 4]),
        g.input('b', 'int8', [4, 5]),
        g.input('c', 'float32', []),
        g.input('d', 'float32', [5]),
        g.input('e', 'uint8', []),
        undefined,
        g.input('f', 'float32', [5]),
      ],
      {},
    ),
  DynamicQuantizeMatMul: (g) =>
    g.apply(
      'DynamicQuantizeMatMul',
      [
        floats(g),
        g.input('b', 'int8', [4, 5]),
        g.input('c', 'float32', [5]),
        undefined,
        g.input('d', 'float32', [5]),
      ],
      {},
    ),
  EmbedLayerNormalization: (g) => {
    const [words, positions] = [g.input('b', 'float32', [6, 4]), g.input('c', 'float32', [9, 4])]
    const [scale, bias] = [g.input('d', 'float32', [4]), g.input('e', 'float32', [4])]
    const [ids, mask] = [integers(g, 'a'), integers(g, 'f')]
    const inputs = [ids, undefined, words, positions, undefined, scale, bias, mask] as const
    return g.apply('EmbedLayerNormalization', inputs, { epsilon: 1 })
  },
  SkipLayerNormalization: (g) => {
    const x = g.input('a', 'float32', ['batch', 4])
    const [scale, shift, bias] = ['b', 'c', 'd'].map((name) => g.input(name, 'float32', [4])) as [
      Tensor,
      Tensor,
      Tensor,
    ]
    return g.apply('SkipLayerNormalization', [x, x, scale, shift, bias], { epsilon: 1e-5 })
  },
  BiasGelu: (g) =>
    g.apply('BiasGelu', [g.input('a', 'float32', ['batch', 4]), g.input('b', 'float32', [4])], {}),
  JoinedAttention: (g) =>
    g.apply('JoinedAttention', [floats(g), ...joinedWeights(g), g.input('d', 'int32', ['batch'])], {
      num_heads: 2,
    }),
  RemovePadding: (g) => g.apply('RemovePadding', [floats(g), g.input('b', 'int32', ['batch'])], {}),
  RestorePadding: (g) =>
    g.apply('RestorePadding', [g.input('a', 'float32', ['tokens', 4]), integers(g, 'b')], {}),
  PackedAttention: (g) =>
    g.apply(
      'PackedAttention',
      [
        g.input('a', 'float32', ['tokens', 4]),
        ...joinedWeights(g),
        integers(g, 'd'),
        g.input('e', 'int32', ['batch+1']),
      ],
      { num_heads: 2 },
    ),
}

/** Operators that ONNX Runtime knows and computes on CUDA alone: what it infers can be compared, results cannot. */
const cudaOnly: ReadonlySet<string> = new Set<Op>(['RemovePadding', 'RestorePadding', 'PackedAttention'])

function feed(type: ElementType, shape: Shape): OrtTensor {
  const dims = shape.map(evaluate)
  const count = dims.reduce((product, size) => product * size, 1)
  const numbers = Array.from({ length: count }, (_, i) => 1 + (i % 3))
  if (type === 'float32')
    return new OrtTensor(
      'float32',
      Float32Array.from(numbers, (n) => n / 4),
      dims,
    )
  if (type === 'int64') return new OrtTensor('int64', BigInt64Array.from(numbers, BigInt), dims)
  if (type === 'int32') return new OrtTensor('int32', Int32Array.from(numbers), dims)
  if (type === 'uint8') return new OrtTensor('uint8', Uint8Array.from(numbers), dims)
  if (type === 'int8') return new OrtTensor('int8', Int8Array.from(numbers), dims)
  if (type === 'bool')
    return new OrtTensor(
      'bool',
      Uint8Array.from(numbers, (n) => n % 2),
      dims,
    )
  throw new Error(`no test values for ${type}`)
}

describe('ONNX Runtime gives the element types and shapes that were inferred for', () => {
  for (const [op, build] of Object.entries(cases)) {
    test(op, async () => {
      const g = new GraphBuilder(op)
      const expected = build(g)
      expected.forEach((tensor, index) => {
        g.output(`result_${index}`, tensor)
      })
      const graph = g.build()
      assert.ok(graph.nodes.some((node) => node.op === op))
      const created = InferenceSession.create(writeOnnx(graph), {
        graphOptimizationLevel: 'disabled',
        logSeverityLevel: 3,
      })
      if (cudaOnly.has(op)) {
        // graphs are checked first, kernels looked for then
        await assert.rejects(created, new RegExp(`Could not find an implementation for ${op}\\(1\\)`))
        return
      }
      const session = await created
      const feeds = graph.inputs.map(({ name, type, shape }) => [name, feed(type, shape)] as const)
      const results = await session.run(Object.fromEntries(feeds))
      await session.release()
      expected.forEach(({ type, shape, contents }, index) => {
        const result = results[`result_${index}`]
        assert.ok(result !== undefined)
        assert.equal(result.type, type)
        assert.deepEqual([...result.dims], shape.map(evaluate))
        if (contents !== undefined)
          assert.deepEqual(Array.from(result.data as BigInt64Array, Number), contents.map(evaluate))
      })
    })
  }
})
