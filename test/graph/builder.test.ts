import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { LabelstreamError } from '../../src/core/errors.ts'
import { GraphBuilder } from '../../src/graph/builder.ts'
import { onnxModelType, writeOnnx } from '../../src/graph/onnx.ts'
import { printGraph } from '../../src/graph/print.ts'

/** y = relu(x w^T + b) with a name for everything. */
function layer(): GraphBuilder {
  const g = new GraphBuilder('layer')
  const x = g.input('x', 'float32', ['rows', 2])
  const w = g.initializer(
    'w',
    'float32',
    [3, 2],
    new Uint8Array(Float32Array.from([1, 0, 0, 1, -1, -1]).buffer),
  )
  const b = g.initializer('b', 'float32', [3], new Uint8Array(Float32Array.from([0, 0, 1]).buffer))
  g.output(
    'y',
    g.within('dense', () => g.relu(g.linear(x, w, b))),
  )
  return g
}

test('a graph prints as one line a node, with types and shapes', () => {
  assert.equal(
    printGraph(layer().build()),
    [
      'graph layer',
      'input x: float32 [rows, 2]',
      'initializer w: float32 [3, 2]',
      'initializer b: float32 [3]',
      'dense/Gemm_0: float32 [rows, 3] = Gemm(x, w, b) transB=1',
      'dense/Relu_1: float32 [rows, 3] = Relu(dense/Gemm_0)',
      'y: float32 [rows, 3] = Identity(dense/Relu_1)',
      'output y: float32 [rows, 3]',
    ].join('\n'),
  )
})

test('a written graph computes what was built', async () => {
  const session = await InferenceSession.create(writeOnnx(layer().build()))
  const { y } = await session.run({ x: new OrtTensor('float32', [2, 3, -1, 0.5], [2, 2]) })
  assert.deepEqual([...(y?.data as Float32Array)], [2, 3, 0, 0, 0.5, 1.5])
})

test('a written graph says opset 20 and symbolic sizes by name', () => {
  const model = onnxModelType().toObject(onnxModelType().decode(writeOnnx(layer().build())), {
    longs: Number,
  })
  assert.equal(model['irVersion'], 9)
  assert.deepEqual(model['opsetImport'], [{ domain: '', version: 20 }])
  const graph = model['graph'] as { input: { type: { tensorType: { shape: { dim: unknown } } } }[] }
  assert.deepEqual(graph.input[0]?.type.tensorType.shape.dim, [{ dimParam: 'rows' }, { dimValue: 2 }])
})

test('equal constants share a tensor; nodes and constants that nothing needs are left out', () => {
  const g = new GraphBuilder('shared')
  const x = g.input('x', 'float32', ['n'])
  assert.equal(g.scalar(2), g.scalar(2))
  assert.notEqual(g.scalar(2), g.scalar(2, 'int64'))
  assert.notEqual(g.integers([2]), g.scalar(2, 'int64'))
  g.tanh(g.mul(x, g.scalar(5)))
  g.output('y', g.add(x, g.scalar(2)))
  const graph = g.build()
  assert.deepEqual(
    graph.nodes.map(({ op }) => op),
    ['Add', 'Identity'],
  )
  assert.equal(graph.initializers.length, 1)
})

test('minus zero is a constant of its own', () => {
  const g = new GraphBuilder('zeros')
  assert.notEqual(g.scalar(0).name, g.scalar(-0).name)
})

describe('what does not fit is refused where it is built:', () => {
  const cases: Record<string, [(g: GraphBuilder) => unknown, RegExp]> = {
    'a name used twice': [
      (g) => [g.input('x', 'float32', []), g.input('x', 'float32', [])],
      /name x is taken/,
    ],
    'an initializer of the wrong size': [
      (g) => g.initializer('w', 'float32', [2], new Uint8Array(4)),
      /w has 4 bytes, \[2\] of float32 needs 8/,
    ],
    'inner sizes that differ': [
      (g) => g.matMul(g.input('a', 'float32', ['n', 3]), g.input('b', 'float32', [4, 5])),
      /\[n, 3\] and \[4, 5\] cannot be multiplied/,
    ],
    'a bias of the wrong width': [
      (g) =>
        g.linear(
          g.input('a', 'float32', ['n', 3]),
          g.input('b', 'float32', [4, 3]),
          g.input('c', 'float32', [5]),
        ),
      /broadcast/,
    ],
    'a Gemm of three axes': [
      (g) => g.linear(g.input('a', 'float32', ['n', 2, 3]), g.input('b', 'float32', [4, 3]), undefined),
      /Gemm takes matrices/,
    ],
    'element types that differ': [
      (g) => g.add(g.input('a', 'float32', []), g.input('b', 'int32', [])),
      /a is float32, b is int32/,
    ],
    'a reshape that loses elements': [
      (g) => g.reshape(g.input('a', 'float32', ['n', 3]), [-1, 2]),
      /does not reshape/,
    ],
    'a reshape to contents that are not known': [
      (g) => g.reshape(g.input('a', 'float32', ['n', 3]), g.input('b', 'int64', [2])),
      /contents of b must be known/,
    ],
    'a squeeze of an axis that is not 1': [
      (g) => g.squeeze(g.input('a', 'float32', ['n', 3]), [1]),
      /is not 1/,
    ],
    'an order that is no order': [
      (g) => g.transpose(g.input('a', 'float32', ['n', 3]), [0, 0]),
      /does not order/,
    ],
    'parts that do not join': [
      (g) => g.concat([g.input('a', 'float32', ['n', 3]), g.input('b', 'float32', ['m', 2])], 1),
      /do not join/,
    ],
    'a condition that is not bool': [
      (g) => {
        const x = g.input('a', 'float32', [])
        return g.apply('Where', [x, x, x], {})
      },
      /Where asks for bool/,
    ],
  }
  for (const [name, [build, pattern]] of Object.entries(cases)) {
    test(name, () => {
      assert.throws(
        () => build(new GraphBuilder('wrong')),
        (error) => {
          assert.ok(error instanceof LabelstreamError)
          assert.equal(error.code, 'INTERNAL')
          assert.match(error.message, pattern)
          return true
        },
      )
    })
  }
})

test('weights over the 2 GB of one protobuf message are refused by size', () => {
  const g = new GraphBuilder('large')
  const block = new Uint8Array(2 ** 28)
  const sum = Array.from({ length: 8 }, (_, index) => g.initializer(`w${index}`, 'float32', [2 ** 26], block))
  g.output(
    'y',
    sum.reduce((a, b) => g.add(a, b)),
  )
  assert.throws(
    () => writeOnnx(g.build()),
    /the weights take 2147483648 bytes; one ONNX file holds at most 2 GB/,
  )
})
