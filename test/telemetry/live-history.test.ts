import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CumulativeBuckets,
  LiveHistory,
  secondsQuantile,
  textsPerSecond,
} from '../../src/telemetry/live-history.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { StreamMetrics } from '../../src/telemetry/stream-metrics.ts'

const source = { topic: 'texts', partition: 0, offset: 0 }

test('samples hold what the metrics count, and rates and percentiles are of what lies between two', async () => {
  const metrics = new Metrics()
  const stream = new StreamMetrics(metrics)
  const history = new LiveHistory(metrics)
  try {
    stream.scored('advice@1', 5)
    stream.endToEnd(40, source)
    await history.sample(1_000)
    stream.scored('advice@1', 10)
    stream.scored('advice@2', 20)
    stream.lag('texts', 0, 3)
    stream.lag('texts', 1, 4)
    for (let text = 0; text < 10; text++) stream.endToEnd(text < 5 ? 0.03 : 0.2, source)
    await history.sample(3_000)
    const [first, second] = history.samples
    assert.ok(first !== undefined && second !== undefined)
    assert.equal(textsPerSecond(first, second), 15)
    assert.equal(textsPerSecond(first, first), 0)
    assert.equal(first.lag, 0)
    assert.equal(second.lag, 7)
    // the one of 40 s was before
    assert.equal(secondsQuantile(0.5, first.endToEnd, second.endToEnd), 0.05)
    assert.ok(Math.abs(secondsQuantile(0.9, first.endToEnd, second.endToEnd) - 0.22) < 1e-9)
  } finally {
    history.close()
  }
})

test('ten minutes of samples are kept', async () => {
  const history = new LiveHistory(new Metrics())
  history.close()
  for (let place = 0; place < 305; place++) await history.sample(place)
  assert.equal(history.samples.length, 300)
  assert.equal(history.samples[0]?.timeMs, 5)
})

test('a percentile above the last bound is that bound, and none without texts', () => {
  const buckets = (...counts: number[]): CumulativeBuckets =>
    counts.map((count, place) => ({ le: [1, 2, Infinity][place] ?? NaN, count }))
  assert.equal(secondsQuantile(0.5, buckets(0, 0, 0), buckets(0, 0, 4)), 2)
  assert.equal(secondsQuantile(0.25, buckets(0, 0, 0), buckets(4, 4, 4)), 0.25)
  assert.equal(secondsQuantile(0.5, [], buckets(0, 4, 4)), 1.5)
  assert.ok(Number.isNaN(secondsQuantile(0.5, buckets(1, 1, 1), buckets(1, 1, 1))))
  assert.ok(Number.isNaN(secondsQuantile(0.5, [], [])))
})
