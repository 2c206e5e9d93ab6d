import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readGraphConfig } from '../../src/encoders/graph-config.ts'
import { GraphBuilder } from '../../src/graph/builder.ts'
import { onnxModelType, writeOnnx } from '../../src/graph/onnx.ts'
import type { ElementType } from '../../src/graph/tensor.ts'
import { Inference, type InferenceOptions } from '../../src/runtime/inference.ts'
import { inspectGraph } from '../../src/runtime/stored-graph.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { throwsCode } from '../support/throws-code.ts'

/** As DistilBERT's config.json names its sizes. */
const config = {
  model_type: 'distilbert',
  dim: 8,
  hidden_dim: 16,
  n_heads: 2,
  n_layers: 1,
  max_position_embeddings: 200,
  id2label: { 0: 'a', 1: 'b' },
}

interface GraphShape {
  readonly integers?: ElementType
  readonly inputs?: readonly string[]
  readonly outputs?: readonly string[]
  readonly labels?: number
}

/** Logits are the sum of a text's ids, and half of it. */
function sumGraph(shape: GraphShape = {}): Uint8Array {
  const {
    integers = 'int64',
    inputs = ['input_ids', 'attention_mask'],
    outputs = ['logits'],
    labels = 2,
  } = shape
  const g = new GraphBuilder('foreign')
  const [ids, ...others] = inputs.map((name) => g.input(name, integers, ['batch', 'sequence']))
  assert.ok(ids !== undefined)
  const numbers = others.reduce(
    (product, each) => g.mul(product, g.cast(each, 'float32')),
    g.cast(ids, 'float32'),
  )
  const factors = Float32Array.from({ length: labels }, (_, label) => 1 / (label + 1))
  const weights = g.initializer('factors', 'float32', [1, labels], new Uint8Array(factors.buffer))
  const logits = g.mul(g.reduceSum(numbers, [1], 1), weights)
  for (const name of outputs) g.output(name, logits)
  return writeOnnx(g.build())
}

async function start(onnx: Uint8Array, changes: Partial<InferenceOptions> = {}): Promise<Inference> {
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  await writeFile(join(folder, 'model.onnx'), onnx)
  return Inference.start({
    folder,
    output: 'logits',
    provider: 'cpu',
    precision: 'auto',
    threads: 1,
    deadlineMs: 60_000,
    ...changes,
  })
}

async function answers(onnx: Uint8Array): Promise<number[]> {
  const inference = await start(onnx)
  try {
    assert.deepEqual(inference.info, { provider: 'cpu', precision: 'fp32', graph: 'plain', width: 2 })
    return [...(await inference.run([Int32Array.of(1, 2), Int32Array.of(10, 20, 30)])).values]
  } finally {
    await inference.close()
  }
}

test("another program's graph is served as it is: its own integers, its own inputs, its only output", async () => {
  const expected = [3, 1.5, 60, 30]
  assert.deepEqual(await answers(sumGraph()), expected)
  assert.deepEqual(await answers(sumGraph({ integers: 'int32', outputs: ['output_0'] })), expected)
  assert.deepEqual(await answers(sumGraph({ outputs: ['hidden', 'logits'] })), expected)
  // token types are zeros: of one text, no pair
  const withTypes = sumGraph({ inputs: ['input_ids', 'attention_mask', 'token_type_ids'] })
  assert.deepEqual(await answers(withTypes), [0, 0, 0, 0])
})

test('a graph that cannot be fed, or whose answer does not fit, is refused with what does not', async () => {
  const refused = async (onnx: Uint8Array, code: 'MODEL_UNSUPPORTED' | 'MODEL_CORRUPT', reason: RegExp) => {
    await throwsCode(() => start(onnx), code, reason)
  }
  await refused(
    sumGraph({ inputs: ['input_ids', 'pixels'] }),
    'MODEL_UNSUPPORTED',
    /asks for pixels \(int64\)/,
  )
  await refused(sumGraph({ integers: 'float32' }), 'MODEL_UNSUPPORTED', /asks for input_ids \(float32\)/)
  await refused(
    sumGraph({ outputs: ['x', 'y'] }),
    'MODEL_UNSUPPORTED',
    /no output logits, and more than one: x, y/,
  )
  await refused(
    sumGraph({ labels: 3 }),
    'MODEL_CORRUPT',
    /answers with 3 numbers a text, config\.json has 2 labels/,
  )
  await refused(Buffer.from('no graph at all'), 'MODEL_CORRUPT', /model\.onnx is no ONNX model/)
  await refused(new Uint8Array(0), 'MODEL_CORRUPT', /model\.onnx is no ONNX model/)
})

test('a graph that would read other files is refused, wherever in it that stands', async () => {
  const type = onnxModelType()
  const outside = {
    name: 'outside',
    dims: [1],
    dataType: 1,
    dataLocation: 1,
    externalData: [{ key: 'location', value: '/etc/passwd' }],
  }
  type Model = { graph: { initializer: unknown[]; node: { attribute?: unknown[] }[] } }
  for (const change of [
    ({ graph }: Model) => graph.initializer.push(outside),
    ({ graph }: Model) => (graph.node[0] ?? {}).attribute?.push({ name: 'x', type: 4, t: outside }),
    ({ graph }: Model) =>
      (graph.node[0] ?? {}).attribute?.push({ name: 'x', type: 5, g: { initializer: [outside] } }),
  ]) {
    const model = type.decode(sumGraph()) as unknown as Model
    change(model)
    await throwsCode(
      () => start(type.encode(model).finish()),
      'MODEL_UNSUPPORTED',
      /keeps weights in other files/,
    )
  }
})

test('graphs within graphs without end are refused', () => {
  const type = onnxModelType()
  // GraphProto.node 1, NodeProto.attribute 5, AttributeProto.g 6, each around the one before
  let bytes: Buffer = Buffer.alloc(0)
  const around = (field: number, inner: Buffer): Buffer => {
    const length: number[] = []
    for (let rest = inner.length; ; rest = Math.floor(rest / 128)) {
      length.push(rest < 128 ? rest : (rest % 128) | 128)
      if (rest < 128) break
    }
    return Buffer.concat([Buffer.of((field << 3) | 2, ...length), inner])
  }
  for (let depth = 0; depth < 5_000; depth++) bytes = around(1, around(5, around(6, bytes)))
  const model = Buffer.concat([type.encode({ irVersion: 9 }).finish(), around(7, bytes)])
  assert.throws(() => inspectGraph(model, 'model.onnx'), { code: 'MODEL_CORRUPT' })
})

test('a graph is served in its own precision, whatever else is wished', async () => {
  await throwsCode(() => start(sumGraph(), { precision: 'int8' }), 'MODEL_UNSUPPORTED', /is a graph in fp32/)
  const inference = await start(sumGraph(), { precision: 'fp32' })
  await inference.close()
})

test("sizes are read under each family's names, and positions that begin after the padding are not counted", () => {
  const distil = readGraphConfig(config)
  assert.deepEqual(
    [distil.hiddenSize, distil.intermediateSize, distil.layers, distil.attentionHeads, distil.maxPositions],
    [8, 16, 1, 2, 200],
  )
  assert.deepEqual(distil.labels, ['a', 'b'])
  const roberta = {
    model_type: 'roberta',
    hidden_size: 768,
    max_position_embeddings: 514,
    pad_token_id: 1,
    num_labels: 3,
    problem_type: 'regression',
    hidden_act: 'something new',
  }
  const { maxPositions, labels, problemType } = readGraphConfig(roberta)
  assert.deepEqual(
    [maxPositions, labels, problemType],
    [512, ['LABEL_0', 'LABEL_1', 'LABEL_2'], 'regression'],
  )
  for (const json of [null, [], 'x']) assert.throws(() => readGraphConfig(json), { code: 'MODEL_CORRUPT' })
})
