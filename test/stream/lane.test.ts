import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, test } from 'node:test'
import { LabelstreamError, type ErrorCode } from '../../src/core/errors.ts'
import { Lane } from '../../src/stream/lane.ts'

/** A lane whose work is settled by hand. */
function handLane(width: number) {
  const calls: { items: readonly string[]; succeed: () => void; fail: (code: ErrorCode) => void }[] = []
  const done: string[] = []
  const condemned: string[] = []
  const failed: ErrorCode[] = []
  const dead = new Set<string>()
  let probes = 0
  const lane = new Lane<string, string>(width, {
    run: (items) =>
      new Promise((resolve, reject) => {
        calls.push({
          items,
          succeed: () => {
            resolve('fine')
          },
          fail: (code) => {
            reject(new LabelstreamError(code, 'no'))
          },
        })
      }),
    probe: () => {
      probes++
      return Promise.resolve()
    },
    live: (item) => !dead.has(item),
    done: (items, _result, tag) => done.push(...items.map((item) => `${item} ${tag}`)),
    condemned: (item) => condemned.push(item),
    retried: () => undefined,
    failed: (error) => failed.push(error.code),
    freed: () => undefined,
  })
  const settle = async (index: number, code?: ErrorCode): Promise<void> => {
    const call = calls[index]
    assert.ok(call !== undefined, `there is no call ${index}`)
    if (code === undefined) call.succeed()
    else call.fail(code)
    for (let turn = 0; turn < 3; turn++) await nextTurn()
  }
  return { lane, calls, done, condemned, failed, dead, probes: () => probes, settle }
}

describe('Lane', () => {
  test('is free until its width is used', async () => {
    const { lane, settle, done } = handLane(2)
    lane.start(['a'], 'full')
    assert.equal(lane.free, true)
    lane.start(['b'], 'idle')
    assert.equal(lane.free, false)
    await settle(1)
    assert.equal(lane.free, true)
    await settle(0)
    assert.deepEqual(done, ['b idle', 'a full'])
    assert.equal(lane.idle, true)
  })

  test('starts nothing new and waits for the others before it tries failed items again, alone', async () => {
    const { lane, calls, settle, done } = handLane(3)
    lane.start(['a'], 'full')
    lane.start(['b'], 'full')
    await settle(0, 'INFERENCE_CRASHED')
    assert.equal(lane.free, false)
    assert.equal(calls.length, 2)
    await settle(1, 'INFERENCE_CRASHED')
    assert.equal(calls.length, 3, 'one group is tried again, not both')
    assert.equal(lane.free, false)
    await settle(2)
    assert.equal(calls.length, 4)
    await settle(3)
    assert.deepEqual(done, ['b isolation', 'a isolation'])
    assert.equal(lane.free, true)
  })

  test('condemns the item that fails alone, and none of its neighbours', async () => {
    const { lane, settle, done, condemned, probes } = handLane(1)
    lane.start(['a', 'b'], 'full')
    await settle(0, 'INFERENCE_HUNG')
    await settle(1, 'INFERENCE_HUNG')
    await settle(2)
    await settle(3, 'INFERENCE_HUNG')
    await settle(4, 'INFERENCE_HUNG')
    assert.deepEqual(done, ['a isolation'])
    assert.deepEqual(condemned, ['b'])
    assert.equal(probes(), 2)
    assert.equal(lane.idle, true)
  })

  test('does not try again what nobody waits for any more', async () => {
    const { lane, calls, settle, dead } = handLane(1)
    lane.start(['a'], 'full')
    dead.add('a')
    await settle(0, 'INFERENCE_CRASHED')
    assert.equal(calls.length, 1)
    assert.equal(lane.free, true)
  })

  test('reports at once what no other try can mend', async () => {
    const { lane, calls, settle, failed } = handLane(1)
    lane.start(['a'], 'full')
    await settle(0, 'MODEL_CORRUPT')
    assert.deepEqual(failed, ['MODEL_CORRUPT'])
    assert.equal(calls.length, 1)
  })
})
