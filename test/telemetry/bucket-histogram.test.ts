import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Histogram, Registry } from 'prom-client'
import { BucketHistogram } from '../../src/telemetry/bucket-histogram.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { StreamMetrics } from '../../src/telemetry/stream-metrics.ts'

const buckets = [0.05, 0.5, 1]

test('any observations give the page that prom-client gives for them', async () => {
  const observation = fc.record({
    label: fc.constantFrom('a', 'b "quoted"'),
    value: fc.oneof(fc.constantFrom(0, 0.05, 0.5, 1, -1), fc.double({ noNaN: true, min: -2, max: 3 })),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(observation, { maxLength: 30 }), async (observations) => {
      const reference = new Registry()
      const theirs = new Histogram({
        name: 'x',
        help: 'h',
        labelNames: ['label'],
        buckets,
        registers: [reference],
      })
      const ours = new BucketHistogram('x', 'h', buckets)
      for (const { label, value } of observations) {
        theirs.observe({ label }, value)
        ours.labels({ label }).observe(value)
      }
      const registry = new Registry()
      registry.registerMetric(ours as unknown as Histogram)
      assert.equal(await registry.metrics(), await reference.metrics())
    }),
  )
})

test('a value that is not a finite number is refused, and the sum stays', async () => {
  const histogram = new BucketHistogram('x', 'h', buckets)
  const series = histogram.labels({})
  series.observe(0.1)
  assert.throws(() => {
    series.observe(NaN)
  }, TypeError)
  const { values } = await histogram.get()
  assert.deepEqual(
    values.map(({ value }) => value),
    [0, 1, 1, 1, 0.1, 1],
  )
})

test('scores and decisions are all counted, by label, however often they are scraped', async () => {
  const metrics = new Metrics()
  const stream = new StreamMetrics(metrics)
  const page = async (): Promise<string> => metrics.registry.metrics()
  for (let text = 0; text < 3; text++) {
    stream.scores(['a', 'b'], Float32Array.of(0.07, 0.97))
    stream.decided('b')
    await page()
  }
  const text = await page()
  assert.match(text, /^labelstream_label_score_bucket\{le="0.05",label="a"\} 0$/m)
  assert.match(text, /^labelstream_label_score_bucket\{le="0.1",label="a"\} 3$/m)
  assert.match(text, /^labelstream_label_score_count\{label="b"\} 3$/m)
  assert.match(text, /^labelstream_label_decisions_total\{label="b"\} 3$/m)
})
