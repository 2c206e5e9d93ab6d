import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { waitUntil } from '../../src/core/clock.ts'
import { packageRoot } from '../../src/core/paths.ts'
import { InferencePool, type InferencePoolOptions } from '../../src/runtime/inference-pool.ts'

const options: InferencePoolOptions = {
  folder: join(packageRoot, 'test', 'fixtures', 'bert', 'tiny-gelu'),
  output: 'logits',
  provider: 'cpu',
  precision: 'auto',
  processes: 2,
  threads: 1,
  deadlineMs: 60_000,
}
const windows = Array.from({ length: 40 }, (_, index) => new Int32Array(1 + (index % 30)).fill(1 + index))

async function warmPool(t: TestContext, more: Partial<InferencePoolOptions> = {}): Promise<InferencePool> {
  const pool = await InferencePool.start({ ...options, ...more })
  t.after(() => pool.close())
  await pool.warm()
  return pool
}

test('runs under way are in different processes, and each has its own values', async (t) => {
  const pool = await warmPool(t)
  const one = await warmPool(t, { processes: 1 })
  assert.deepEqual([pool.processes, one.processes], [2, 1])
  assert.deepEqual(pool.info, one.info)
  const answers = await Promise.all(windows.map((window) => pool.run([window])))
  for (const [index, { values }] of answers.entries()) {
    assert.deepEqual(values, (await one.run([windows[index] ?? new Int32Array()])).values)
  }
  assert.ok(pool.memory.residentBytes > 1.5 * one.memory.residentBytes)
})

test('all processes share in what is measured', async (t) => {
  const pool = await warmPool(t)
  const rate = await pool.measure(windows.map((window) => [window]))
  assert.equal(rate.rows, windows.length)
  assert.equal(
    rate.realTokens,
    windows.reduce((sum, { length }) => sum + length, 0),
  )
})

test('while a process is replaced the other one serves, and then both do', async (t) => {
  const restarts: string[] = []
  const pool = await warmPool(t, { onRestart: (reason) => restarts.push(reason) })
  const before = pool.pid
  process.kill(before ?? 0, 'SIGKILL')
  await waitUntil(() => restarts.length > 0, {
    timeoutMs: 20_000,
    onTimeout: () => new Error('nobody noticed that a process was gone'),
  })
  const order: string[] = []
  await Promise.all([
    pool.warm().then(() => order.push('replaced')),
    Promise.all(windows.map((window) => pool.run([window]))).then(() => order.push('served')),
  ])
  assert.deepEqual(order, ['served', 'replaced'])
  assert.notEqual(pool.pid, before)
  assert.deepEqual(restarts, ['crashed'])
  const answers = await Promise.all(windows.map((window) => pool.run([window])))
  assert.equal(answers.length, windows.length)
})

test('a pool can be closed before its other processes are warm', async () => {
  const pool = await InferencePool.start({ ...options, processes: 3 })
  await pool.close()
  await assert.rejects(pool.run([Int32Array.of(1)]), { code: 'INFERENCE_CRASHED' })
})
