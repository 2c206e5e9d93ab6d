import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { waitUntil } from '../../src/core/clock.ts'
import { sha256OfFile } from '../../src/core/digest.ts'
import { packageRoot } from '../../src/core/paths.ts'
import { seededRandom } from '../../src/core/random.ts'
import { writeOnnx } from '../../src/graph/onnx.ts'
import { padWindows, packWindows } from '../../src/runtime/batch.ts'
import { Inference } from '../../src/runtime/inference.ts'
import type { InferenceOptions } from '../../src/runtime/inference.ts'
import { buildFromFolder } from '../../src/runtime/model-files.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { processIsGone } from '../support/processes.ts'

const folder = join(packageRoot, 'test', 'fixtures', 'bert', 'tiny-gelu')
const vocabularySize = 100
const options: InferenceOptions = {
  folder,
  output: 'logits',
  provider: 'cpu',
  precision: 'auto',
  threads: 1,
  deadlineMs: 60_000,
}
const random = seededRandom(11)
const window = (length: number): Int32Array =>
  Int32Array.from({ length }, () => 1 + random.integer(vocabularySize - 1))

const gone = (pid: number | undefined): Promise<void> =>
  waitUntil(() => pid !== undefined && processIsGone(pid), {
    timeoutMs: 20_000,
    onTimeout: () => new Error(`process ${pid} still runs`),
  })

function assertClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  assert.equal(actual.length, expected.length)
  for (const [index, value] of actual.entries()) {
    assert.ok(Math.abs(value - (expected[index] ?? NaN)) <= tolerance, `value ${index}`)
  }
}

test('the values are those of the session itself, for logits and for embeddings', async () => {
  const windows = [window(5), window(17), window(1)]
  for (const [output, width] of [
    ['logits', 3],
    ['embedding', 32],
  ] as const) {
    const { graph } = await buildFromFolder({ folder, output, expectedDigests: {} }, 'fp32')
    const session = await InferenceSession.create(writeOnnx(graph))
    const { rows, columns, inputIds, attentionMask } = padWindows(packWindows(windows))
    const direct = await session.run({
      input_ids: new Tensor('int32', inputIds, [rows, columns]),
      attention_mask: new Tensor('int32', attentionMask, [rows, columns]),
    })
    const inference = await Inference.start({ ...options, output })
    const result = await inference.run(windows)
    await inference.close()
    assert.deepEqual(inference.info, { provider: 'cpu', precision: 'fp32', graph: 'plain', width })
    assert.equal(result.width, width)
    assert.equal(result.paddedTokens, 3 * 17)
    assertClose(result.values, direct[output]?.data as Float32Array, 1e-6)
  }
})

test('a window has the same values whatever it is batched with, and queued runs answer in order', async () => {
  const inference = await Inference.start(options)
  const windows = Array.from({ length: 24 }, () => window(1 + random.integer(48)))
  const alone = await Promise.all(windows.map((one) => inference.run([one])))
  const together = await inference.run(windows)
  for (const [row, { values }] of alone.entries()) {
    assertClose(together.values.slice(row * 3, row * 3 + 3), values, 1e-5)
  }
  assert.deepEqual(await inference.run([]), {
    values: new Float32Array(0),
    width: 3,
    seconds: 0,
    paddedTokens: 0,
  })
  assert.ok(inference.memory.residentBytes > 0)
  assert.ok(inference.memory.peakBytes >= inference.memory.residentBytes)
  await inference.close()
})

test('the precision that is asked for serves, and auto is what the model was checked in', async () => {
  const windows = Array.from({ length: 8 }, () => window(24))
  const values: Float32Array[] = []
  for (const [wanted, served] of [
    [{ precision: 'fp32' }, 'fp32'],
    [{ precision: 'int8' }, 'int8'],
    [{ precision: 'fp16' }, 'fp16'],
    [{ precision: 'auto', autoOnCpu: 'int8' }, 'int8'],
  ] as const) {
    const inference = await Inference.start({ ...options, ...wanted })
    assert.equal(inference.info.precision, served)
    values.push((await inference.run(windows)).values)
    await inference.close()
  }
  const [fp32, int8, fp16, auto] = values
  assert.ok(fp32 !== undefined && int8 !== undefined && fp16 !== undefined)
  assertClose(fp16, fp32, 0.01)
  assertClose(int8, fp32, 0.1)
  assert.notDeepEqual(int8, fp32)
  assert.deepEqual(auto, int8)
})

test('batches measured back to back are counted', async () => {
  const inference = await Inference.start(options)
  const rate = await inference.measure([[window(4), window(8)], [window(3)]])
  assert.deepEqual({ ...rate, seconds: 0 }, { seconds: 0, rows: 3, realTokens: 15, paddedTokens: 19 })
  await inference.close()
})

test('the products alone are counted and timed in every precision', async () => {
  const { hiddenSize, intermediateSize, layers } = { hiddenSize: 32, intermediateSize: 64, layers: 2 }
  const perLayer = 4 * hiddenSize ** 2 + 2 * hiddenSize * intermediateSize
  for (const precision of ['fp32', 'int8', 'fp16'] as const) {
    const inference = await Inference.start({ ...options, precision })
    const rate = await inference.measureProducts(16, 3)
    assert.ok(rate.seconds > 0)
    assert.equal(rate.multiplyAdds, 16 * perLayer)
    assert.equal(rate.multiplyAddsPerToken, layers * perLayer)
    await inference.close()
  }
})

test('a fault of one run rejects that run only', async () => {
  const inference = await Inference.start(options)
  const outcomes = await Promise.allSettled([
    inference.run([window(4)]),
    inference.run([Int32Array.of(vocabularySize)]),
    inference.run([window(49)]),
    inference.run([window(4)]),
  ])
  const codes = outcomes.map((outcome) =>
    outcome.status === 'fulfilled' ? 'fine' : (outcome.reason as { code: string }).code,
  )
  assert.deepEqual(codes, ['fine', 'INFERENCE_FAILED', 'SETTING_INVALID', 'fine'])
  await inference.close()
})

test('kill -9 rejects the runs in flight, and a new process serves the next ones', async () => {
  const restarts: string[] = []
  const inference = await Inference.start({ ...options, onRestart: (reason) => restarts.push(reason) })
  const windows = [window(9)]
  const before = await inference.run(windows)
  const { pid } = inference
  assert.ok(pid)
  // stopped first: the runs are certainly in flight when the process dies
  process.kill(pid, 'SIGSTOP')
  const repeated = inference.run(windows).catch(() => inference.run(windows))
  const lost = [inference.run(windows), inference.run(windows)]
  const outcome = Promise.all(lost.map((run) => assert.rejects(run, { code: 'INFERENCE_CRASHED' })))
  process.kill(pid, 'SIGKILL')
  await outcome
  const after = await inference.run(windows)
  assert.deepEqual(after.values, before.values)
  assert.deepEqual((await repeated).values, before.values, 'repeated at once, it waits for the new process')
  assert.deepEqual(restarts, ['crashed'])
  assert.notEqual(inference.pid, pid)
  await inference.close()
})

test('a process that does not answer within the deadline is killed and replaced', async () => {
  const restarts: string[] = []
  const inference = await Inference.start({
    ...options,
    deadlineMs: 3_000,
    onRestart: (reason) => restarts.push(reason),
  })
  const { pid } = inference
  assert.ok(pid)
  process.kill(pid, 'SIGSTOP')
  await assert.rejects(inference.run([window(9)]), { code: 'INFERENCE_HUNG' })
  await gone(pid)
  const { values } = await inference.run([window(9)])
  assert.equal(values.length, 3)
  assert.deepEqual(restarts, ['hung'])
  await inference.close()
})

test('a flipped byte is found before anything is parsed, and the file is named', async () => {
  const copy = await temporaryFolder()
  await cp(folder, copy, { recursive: true })
  const expectedDigests = {
    'config.json': await sha256OfFile(join(copy, 'config.json')),
    'model.safetensors': await sha256OfFile(join(copy, 'model.safetensors')),
  }
  const weights = await readFile(join(copy, 'model.safetensors'))
  weights[weights.length - 1] = (weights.at(-1) ?? 0) ^ 1
  await writeFile(join(copy, 'model.safetensors'), weights)
  await assert.rejects(Inference.start({ ...options, folder: copy, expectedDigests }), {
    code: 'MODEL_CORRUPT',
    message: /model\.safetensors/,
  })
})

test('a folder without a model is refused at the start', async () => {
  await assert.rejects(Inference.start({ ...options, folder: join(packageRoot, 'src') }), {
    code: 'FILE_UNREADABLE',
    message: /config\.json/,
  })
})

test('a provider that does not start gives way to the CPU and says why', async () => {
  const lines: string[] = []
  // DirectML exists on Windows alone, CUDA needs libraries that are not part of the package
  const provider = process.platform === 'win32' ? 'cuda' : 'dml'
  const inference = await Inference.start({
    ...options,
    provider,
    onLog: (level, message) => lines.push(`${level} ${message}`),
  })
  assert.equal(inference.info.provider, 'cpu')
  assert.match(inference.info.providerFallback ?? '', new RegExp(`^${provider}: `))
  assert.ok(lines.some((line) => line.startsWith(`warn running on cpu: ${provider}`)))
  await inference.close()
})

test('when a replacement finds the model damaged, the runs that wait for it say so', async () => {
  const copy = await temporaryFolder()
  await cp(folder, copy, { recursive: true })
  const expectedDigests = { 'config.json': await sha256OfFile(join(copy, 'config.json')) }
  const inference = await Inference.start({ ...options, folder: copy, expectedDigests })
  await writeFile(join(copy, 'config.json'), '{}')
  const { pid } = inference
  assert.ok(pid)
  process.kill(pid, 'SIGKILL')
  await assert.rejects(inference.run([window(3)]), { code: 'INFERENCE_CRASHED' })
  await assert.rejects(inference.run([window(3)]), { code: 'MODEL_CORRUPT', message: /config\.json/ })
  await inference.close()
})

test('close ends the process, and later runs reject', async () => {
  const inference = await Inference.start(options)
  const { pid } = inference
  await inference.close()
  await gone(pid)
  await assert.rejects(inference.run([window(3)]), { code: 'INFERENCE_CRASHED' })
  await inference.close()
})

test('when the parent is killed its process ends by itself, and the signals of a terminal do not end it', async () => {
  const script = fileURLToPath(new URL('../support/inference-parent.js', import.meta.url))
  const parent = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(line.toString())
  process.kill(pid, 'SIGINT')
  process.kill(pid, 'SIGTERM')
  assert.equal(processIsGone(pid), false)
  parent.kill('SIGKILL')
  await gone(pid)
})
