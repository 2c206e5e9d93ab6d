import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { isLoopback } from '../../src/core/loopback.ts'
import { HttpSurface } from '../../src/telemetry/http.ts'
import { LivePage } from '../../src/telemetry/live-page.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { StreamMetrics } from '../../src/telemetry/stream-metrics.ts'

async function surface(notReady: () => string | null = () => null, token?: string) {
  const metrics = new Metrics()
  return { metrics, http: await HttpSurface.start({ host: '127.0.0.1', port: 0, metrics, notReady, token }) }
}

/** Sends bytes as they are, which `fetch` would not, and returns the first line of the answer ('' without one). */
async function answerTo(url: string, request: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
  socket.on('error', () => undefined)
  socket.write(request)
  await once(socket, 'close')
  return answer.split('\r\n')[0] ?? ''
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

test('a page shows the stream to people, without scripts and with nothing taken for markup', async () => {
  const { metrics, http } = await surface(() => 'the group is <rebalancing>')
  const stream = new StreamMetrics(metrics)
  stream.scored('advice@1', 1_234)
  stream.deadLettered('INPUT_NOT_UTF8')
  stream.lag('texts', 0, 17)
  stream.lag('texts', 1, 4)
  metrics.setGauge(
    'model_info',
    { name: 'advice', version: '1', digest: 'ab', provider: 'cpu', precision: 'int8' },
    1,
  )
  metrics.counter('label_decisions_total', { label: '<b>cooking</b>' }).inc(617)
  try {
    const response = await fetch(http.url)
    const page = await response.text()
    assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'; style-src/)
    assert.match(page, /<title>labelstream: advice@1, int8 on cpu<\/title>/)
    assert.match(page, /<p class="bad">not ready: the group is &lt;rebalancing&gt;<\/p>/)
    assert.match(page, /<td>scored<\/td><td>1,234<\/td>/)
    assert.match(page, /<td>messages behind the end<\/td><td>21<\/td>/)
    assert.match(page, /<td>dead letters<\/td><td>1 \(INPUT_NOT_UTF8 1\)<\/td>/)
    assert.match(page, /<td>&lt;b&gt;cooking&lt;\/b&gt;<\/td><td>617<\/td><td>50\.0 %<\/td>/)
    assert.equal(page.match(/<svg /g)?.length, 3)
    assert.doesNotMatch(page, /<script|javascript:|<b>| src=/)
    assert.equal((await fetch(http.url, { method: 'HEAD' })).status, 200)
  } finally {
    await http.close()
  }
})

test('the page is drawn once a second at most, however many look at it', async () => {
  let missing: string | null = 'no partitions assigned'
  const live = new LivePage({ metrics: new Metrics(), notReady: () => missing })
  try {
    const page = await live.html(5_000)
    missing = null
    assert.equal(await live.html(6_000), page)
    assert.match(await live.html(6_001), /<p class="good">ready<\/p>/)
  } finally {
    live.close()
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

test('with a token set, metrics ask for it; health and readiness stay open for probes', async () => {
  const { http } = await surface(() => null, 'canary-token')
  const status = async (path: string, authorization?: string): Promise<number> =>
    (await fetch(`${http.url}${path}`, authorization === undefined ? {} : { headers: { authorization } }))
      .status
  try {
    assert.equal(await status('/metrics', 'Bearer canary-token'), 200)
    assert.equal(await status('/metrics?x=1', 'bearer canary-token'), 200)
    for (const wrong of [undefined, 'Bearer', 'Bearer ', 'Bearer canary-toke', 'Bearer canary-token2'])
      assert.equal(await status('/metrics', wrong), 401)
    for (const wrong of ['canary-token', 'Basic canary-token', 'Bearer canary-token canary-token'])
      assert.equal(await status('/metrics', wrong), 401)
    assert.equal(await status('/metrics?token=canary-token'), 401)
    const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`
    assert.equal(await status('/', basic('anybody:canary-token')), 200)
    assert.equal(await status('/', 'Bearer canary-token'), 200)
    for (const wrong of [undefined, basic('canary-token:'), basic(':canary-toke'), basic('')])
      assert.equal(await status('/', wrong), 401)
    assert.match((await fetch(http.url)).headers.get('www-authenticate') ?? '', /^Basic realm="labelstream"/)
    assert.equal(await status('/healthz'), 200)
    assert.equal(await status('/readyz'), 200)
    const refused = await fetch(`${http.url}/metrics`)
    assert.equal(refused.headers.get('www-authenticate'), 'Bearer realm="labelstream"')
    assert.doesNotMatch(await refused.text(), /canary-token|labelstream_/)
  } finally {
    await http.close()
  }
})

test('requests that no client should send are answered or cut off, and the next one is served', async () => {
  const { http } = await surface()
  const close = 'host: x\r\nconnection: close\r\n'
  try {
    // new URL('//', base) throws
    assert.match(await answerTo(http.url, `GET // HTTP/1.1\r\n${close}\r\n`), /404/)
    assert.match(await answerTo(http.url, `GET http://[ HTTP/1.1\r\n${close}\r\n`), /40\d/)
    assert.match(await answerTo(http.url, `GET /../../etc/passwd HTTP/1.1\r\n${close}\r\n`), /404/)
    assert.match(await answerTo(http.url, `TRACE / HTTP/1.1\r\n${close}\r\n`), /405/)
    assert.match(await answerTo(http.url, 'no http at all\r\n\r\n'), /400/)
    const longHeader = `x: ${'y'.repeat(10_000)}\r\n`
    assert.match(await answerTo(http.url, `GET / HTTP/1.1\r\n${close}${longHeader}\r\n`), /431/)
    // a body is not waited for
    const post = `POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n`
    assert.match(await answerTo(http.url, post), /405/)
    assert.equal((await fetch(`${http.url}/healthz`)).status, 200)
  } finally {
    await http.close()
  }
})

test('silent connections are closed, also those that send half a request', async () => {
  const { http } = await surface()
  try {
    const answers = await Promise.all([
      answerTo(http.url, ''),
      answerTo(http.url, 'GET /metrics HTTP/1.1\r\nhost: x\r\n'),
    ])
    for (const answer of answers) assert.match(answer, /^(HTTP\/1\.1 408 .*)?$/)
  } finally {
    await http.close()
  }
})

test('more connections than a surface needs are refused, and a free place serves again', async () => {
  const { http } = await surface()
  const sockets: Socket[] = []
  try {
    const refused = new Promise<void>((resolve) => {
      for (let count = 0; count < 200; count++) {
        const socket = connect(Number(new URL(http.url).port), '127.0.0.1')
        socket.on('error', () => undefined)
        socket.once('close', () => {
          resolve()
        })
        sockets.push(socket)
      }
    })
    await refused
    const closed = Promise.all(
      sockets.map((socket) => (socket.closed ? Promise.resolve() : once(socket, 'close'))),
    )
    for (const socket of sockets) socket.destroy()
    await closed
    assert.equal((await fetch(`${http.url}/healthz`)).status, 200)
  } finally {
    for (const socket of sockets) socket.destroy()
    await http.close()
  }
})

test('what is loopback and what is not', () => {
  for (const host of ['127.0.0.1', '127.8.8.8', 'localhost', '::1']) assert.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.com', 'localhost.example.com', ''])
    assert.ok(!isLoopback(host), host)
})
