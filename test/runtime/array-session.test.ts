import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listSupportedBackends } from 'onnxruntime-node'
import { GraphBuilder } from '../../src/graph/builder.ts'
import { type OnnxOptions, writeOnnx } from '../../src/graph/onnx.ts'
import { ArraySession, withoutCopies } from '../../src/runtime/array-session.ts'
import { throwsCode } from '../support/throws-code.ts'

function doubling(options: OnnxOptions = {}): Uint8Array {
  const g = new GraphBuilder('doubling')
  const x = g.input('x', 'float32', ['length'])
  g.output('y', g.add(x, x))
  return writeOnnx(g.build(), options)
}

test("results are written into the caller's arrays, views included", async () => {
  const session = await ArraySession.create(doubling(), 1)
  assert.equal(session.fallback, undefined)
  const values = Float32Array.of(9, 0, 0, 9)
  const x = { shape: [2], values: Float32Array.of(1, 2) }
  await session.run({ x }, { y: { shape: [2], values: values.subarray(1, 3) } })
  assert.deepEqual([...values], [9, 2, 4, 9])
})

test('results are not copied once more, where the graph says so', async () => {
  const length = 250_000
  const grown = async (options: OnnxOptions): Promise<number> => {
    const session = await ArraySession.create(doubling(options), 1)
    const x = { shape: [length], values: new Float32Array(length).fill(1.5) }
    const y = { shape: [length], values: new Float32Array(length) }
    const before = process.memoryUsage().arrayBuffers
    await session.run({ x }, { y })
    assert.equal(y.values[length - 1], 3)
    return process.memoryUsage().arrayBuffers - before
  }
  assert.ok((await grown(withoutCopies)) < length)
})

test('what fails is not taken for what is not copied', async () => {
  const session = await ArraySession.create(doubling(withoutCopies), 1)
  const y = { shape: [1], values: new Float32Array(1) }
  await throwsCode(() => session.run({}, { y }), 'TRAINING_FAILED', /x/)
})

test('a provider that is not built in gives way to the next one, and says why', async () => {
  const built = new Set(listSupportedBackends().map(({ name }) => name))
  const absent = (['cuda', 'dml', 'coreml'] as const).filter((name) => !built.has(name)).slice(0, 1)
  assert.equal(absent.length, 1)
  const session = await ArraySession.create(doubling(), 1, [...absent, 'cpu'])
  assert.ok(session.fallback?.startsWith(`${absent[0] ?? ''}: `))
  await throwsCode(() => ArraySession.create(doubling(), 1, absent), 'TRAINING_FAILED', /backend/)
})

test('a graph that is none and an input that is missing are training faults', async () => {
  await throwsCode(() => ArraySession.create(Uint8Array.of(1, 2, 3), 1), 'TRAINING_FAILED', /ONNX Runtime/)
  const session = await ArraySession.create(doubling(), 1)
  const y = { shape: [1], values: new Float32Array(1) }
  await throwsCode(() => session.run({}, { y }), 'TRAINING_FAILED', /x/)
})
