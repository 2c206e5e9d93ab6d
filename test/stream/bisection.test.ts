import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { isolate, nextStep, notScorable } from '../../src/stream/bisection.ts'

const crash = () => new LabelstreamError('INFERENCE_CRASHED', 'the child ended')

function stage(options: { bad: readonly number[]; probeFails?: number; failFirst?: number }) {
  const done: number[] = []
  const condemned: number[] = []
  const tried: (readonly number[])[] = []
  let probes = 0
  let failures = options.failFirst ?? 0
  const effects = {
    run: (items: readonly number[]): Promise<void> => {
      tried.push(items)
      if (failures-- > 0) return Promise.reject(crash())
      return items.some((item) => options.bad.includes(item)) ? Promise.reject(crash()) : Promise.resolve()
    },
    probe: (): Promise<void> =>
      probes++ < (options.probeFails ?? 0) ? Promise.reject(crash()) : Promise.resolve(),
    done: (items: readonly number[]): void => {
      done.push(...items)
    },
    condemned: (item: number): void => {
      condemned.push(item)
    },
    retried: (): void => undefined,
    cancelled: (): boolean => false,
  }
  return { effects, done, condemned, tried, probes: () => probes }
}

const sixteen = Array.from({ length: 16 }, (_, item) => item)

describe('isolate', () => {
  test('condemns nobody when the second try succeeds', async () => {
    const { effects, done, condemned, tried } = stage({ bad: [] })
    await isolate(sixteen, effects)
    assert.deepEqual(done, sixteen)
    assert.deepEqual(condemned, [])
    assert.equal(tried.length, 1)
  })

  test('finds the one bad text by halving and finishes all others once', async () => {
    const { effects, done, condemned, tried } = stage({ bad: [5] })
    await isolate(sixteen, effects)
    assert.deepEqual(condemned, [5])
    assert.deepEqual(
      done.toSorted((a, b) => a - b),
      sixteen.filter((item) => item !== 5),
    )
    assert.ok(tried.length <= 11, `${tried.length} tries`)
  })

  test('finds several bad texts', async () => {
    const { effects, condemned } = stage({ bad: [0, 7, 15] })
    await isolate(sixteen, effects)
    assert.deepEqual(
      condemned.toSorted((a, b) => a - b),
      [0, 7, 15],
    )
  })

  test('tries a text alone twice before it condemns it', async () => {
    const { effects, done, condemned } = stage({ bad: [], failFirst: 1 })
    await isolate([3], effects)
    assert.deepEqual(done, [3])
    assert.deepEqual(condemned, [])
  })

  test('dead-letters nothing when a known-good text fails too: that is not the data', async () => {
    const { effects, done, condemned, probes } = stage({ bad: sixteen, probeFails: 3 })
    await assert.rejects(
      isolate(sixteen, effects),
      (error) => error instanceof LabelstreamError && error.code === 'INFERENCE_CRASHED',
    )
    assert.deepEqual([...done, ...condemned], [])
    assert.equal(probes(), 3)
  })

  test('forgives a probe that fails twice and then succeeds', async () => {
    const { effects, condemned } = stage({ bad: [2], probeFails: 2 })
    await isolate([2], effects)
    assert.deepEqual(condemned, [2])
  })

  test('gives up quietly when the epoch ended', async () => {
    const { effects, tried } = stage({ bad: [] })
    await isolate(sixteen, { ...effects, cancelled: () => true })
    assert.equal(tried.length, 0)
  })
})

describe('nextStep', () => {
  test('halves many, retries one, condemns one that failed alone twice', () => {
    assert.equal(nextStep(2, 1), 'halve')
    assert.equal(nextStep(1, 1), 'retry')
    assert.equal(nextStep(1, 2), 'condemn')
  })
})

describe('notScorable', () => {
  test('names the message and the fault', () => {
    const error = notScorable({ topic: 'texts', partition: 2, offset: 41 }, crash())
    assert.equal(error.code, 'TEXT_NOT_SCORABLE')
    assert.match(error.message, /texts\/2\/41.*INFERENCE_CRASHED/)
  })
})
