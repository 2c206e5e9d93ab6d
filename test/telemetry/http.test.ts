import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { HttpSurface } from '../../src/telemetry/http.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { StreamMetrics } from '../../src/telemetry/stream-metrics.ts'

async function surface(notReady: () => string | null = () => null) {
  const metrics = new Metrics()
  return { metrics, http: await HttpSurface.start({ host: '127.0.0.1', port: 0, metrics, notReady }) }
}

test('metrics, health and readiness are served on loopback', async () => {
  let missing: string | null = 'no partitions assigned'
  const { metrics, http } = await surface(() => missing)
  const stream = new StreamMetrics(metrics)
  stream.consumed('texts', 3)
  stream.scored('advice@1', 2)
  stream.deadLettered('INPUT_NOT_UTF8')
  stream.batch({ reason: 'full', texts: 2, paddedTokens: 20, realTokens: 15, seconds: 0.01 })
  try {
    const page = await (await fetch(`${http.url}/metrics`)).text()
    assert.match(page, /^labelstream_consumed_total\{topic="texts"\} 3$/m)
    assert.match(page, /^labelstream_scored_total\{model="advice@1"\} 2$/m)
    assert.match(page, /^labelstream_dead_letters_total\{reason="INPUT_NOT_UTF8"\} 1$/m)
    assert.match(page, /^labelstream_padding_share 0.25$/m)
    assert.match(page, /^process_resident_memory_bytes /m)

    assert.equal((await fetch(`${http.url}/healthz`)).status, 200)
    const unready = await fetch(`${http.url}/readyz`)
    assert.equal(unready.status, 503)
    assert.match(await unready.text(), /no partitions assigned/)
    missing = null
    assert.equal((await fetch(`${http.url}/readyz`)).status, 200)
    assert.equal((await fetch(`${http.url}/secret`)).status, 404)
    assert.equal((await fetch(`${http.url}/metrics`, { method: 'POST' })).status, 405)
  } finally {
    await http.close()
  }
})

test('a port in use is refused with the settings to change', async () => {
  const { http, metrics } = await surface()
  try {
    const port = Number(new URL(http.url).port)
    await assert.rejects(
      HttpSurface.start({ host: '127.0.0.1', port, metrics, notReady: () => null }),
      (error) =>
        error instanceof LabelstreamError && error.exitCode === 2 && error.message.includes('http.port'),
    )
  } finally {
    await http.close()
  }
})

test('a rebalance forgets the lag of partitions that others own now', async () => {
  const metrics = new Metrics()
  const stream = new StreamMetrics(metrics)
  stream.lag('texts', 4, 17)
  assert.match(await metrics.registry.metrics(), /consumer_lag\{topic="texts",partition="4"\} 17/)
  stream.rebalance()
  assert.doesNotMatch(await metrics.registry.metrics(), /consumer_lag\{/)
})
