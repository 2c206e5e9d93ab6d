import assert from 'node:assert/strict'
import { test } from 'node:test'
import { candidatePlans, planProcesses, type Resources } from '../../src/runtime/process-plan.ts'

const gigabyte = 1_073_741_824
const miniLm = 45e6
const machine = (cores: number, memoryBytes = 64 * gigabyte, files: readonly string[] = []): Resources => ({
  platform: 'linux',
  hasFile: (path) => files.includes(path),
  cores,
  memoryBytes,
})
const wishes = { processes: 0, threads: 0, provider: 'auto', weightsBytes: miniLm } as const

test('on a CPU there is a process of one thread a core', () => {
  assert.deepEqual(planProcesses(wishes, machine(1)), { processes: 1, threads: 1 })
  assert.deepEqual(planProcesses(wishes, machine(2)), { processes: 2, threads: 1 })
  assert.deepEqual(planProcesses(wishes, machine(8)), { processes: 8, threads: 1 })
})

test('where memory or one main process does not reach, processes get more threads', () => {
  assert.deepEqual(planProcesses(wishes, machine(8, 4 * gigabyte)), { processes: 4, threads: 2 })
  assert.deepEqual(planProcesses({ ...wishes, weightsBytes: 1.3e9 }, machine(8, 8 * gigabyte)), {
    processes: 1,
    threads: 8,
  })
  assert.deepEqual(planProcesses(wishes, machine(64, 512 * gigabyte)), { processes: 16, threads: 4 })
})

test('who asks for threads alone gets one process, who asks for processes shares the cores among them', () => {
  assert.deepEqual(planProcesses({ ...wishes, threads: 2 }, machine(8)), { processes: 1, threads: 2 })
  assert.deepEqual(planProcesses({ ...wishes, processes: 3 }, machine(8)), { processes: 3, threads: 2 })
  assert.deepEqual(planProcesses({ ...wishes, processes: 3 }, machine(2)), { processes: 3, threads: 1 })
  assert.deepEqual(planProcesses({ ...wishes, processes: 2, threads: 3 }, machine(8)), {
    processes: 2,
    threads: 3,
  })
})

test('a graphics processor has one process', () => {
  const withCard = machine(16, 64 * gigabyte, ['/dev/nvidiactl'])
  assert.equal(planProcesses(wishes, withCard).processes, 1)
  assert.equal(planProcesses({ ...wishes, provider: 'cpu' }, withCard).processes, 16)
  assert.equal(planProcesses({ ...wishes, provider: 'cuda', processes: 2 }, withCard).processes, 2)
})

test('worth measuring are the rule, and every doubling of processes that fits', () => {
  const plans = (cores: number, changes = {}, memoryBytes = 64 * gigabyte): string[] =>
    candidatePlans({ ...wishes, ...changes }, machine(cores, memoryBytes)).map(
      ({ processes, threads }) => `${processes}x${threads}`,
    )
  assert.deepEqual(plans(1), ['1x1'])
  assert.deepEqual(plans(2), ['2x1', '1x2'])
  assert.deepEqual(plans(12), ['12x1', '1x12', '2x6', '4x3', '8x1'])
  assert.deepEqual(plans(8, {}, 4 * gigabyte), ['4x2', '1x8', '2x4'])
  assert.deepEqual(plans(8, { threads: 3 }), ['1x3'])
  assert.deepEqual(plans(8, { processes: 2 }), ['2x4'])
})

test('a graphics processor may be worth several sessions that take turns', () => {
  const plans = candidatePlans(wishes, machine(16, 64 * gigabyte, ['/dev/nvidiactl']))
  assert.deepEqual(
    plans.map(({ processes }) => processes),
    [1, 2, 4],
  )
})
