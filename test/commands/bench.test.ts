import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { askedRates, dueMs, perSecondOf } from '../../src/commands/bench-rate.ts'
import { benchReport } from '../../src/commands/bench-report.ts'
import { benchMessage, benchTexts } from '../../src/commands/bench-texts.ts'
import { median, percentile } from '../../src/commands/percentile.ts'
import { temporaryFolder } from '../support/model-folder.ts'

const bare = (textsPerSecond: number, share: number, processes: number, threads: number) => ({
  textsPerSecond,
  paddedTokensPerSecond: textsPerSecond * 20,
  budgetTokens: 1_024,
  multiplyAddsPerSecond: textsPerSecond * 1e9,
  productsMultiplyAddsPerSecond: (textsPerSecond * 1e9) / share,
  processes,
  threads,
})

const round = (session: number, stream: number) => ({
  session: {
    session: bare(session, 0.5, 1, 2),
    asServed: bare(session * 1.25, 0.625, 2, 1),
    provider: 'cpu',
    precision: 'int8',
    graph: 'plain',
  },
  stream: {
    textsPerSecond: stream,
    paddedTokensPerSecond: stream * 21,
    paddingShare: 0.05,
    p50Ms: 10,
    p99Ms: 20,
    peakMemoryBytes: stream,
  },
})

test('the ratio is the median of the rounds, each with its own session', () => {
  const report = benchReport([round(100, 90), round(50, 49), round(200, 100)], 4_000, [])
  assert.equal(report.ratio, 0.9)
  assert.equal(report.session.textsPerSecond, 100)
  assert.equal(report.endToEnd.textsPerSecond, 90)
  assert.equal(report.endToEnd.peakMemoryBytes, 100)
  assert.equal(report.products.sessionShare, 0.5)
  assert.equal(report.products.multiplyAddsPerSecond, 200e9)
  assert.equal(report.products.asServedShare, 0.625)
  assert.equal(report.products.asServedMultiplyAddsPerSecond, 200e9)
  assert.equal(report.asServed.textsPerSecond, 125)
  assert.equal(report.ratioToServed, 0.72)
  assert.equal('rate' in report, false)
})

test('latencies are reported by rate, as a share of what the stream does with a full backlog', () => {
  const at = (wantedPerSecond: number) => ({
    wantedPerSecond,
    achievedPerSecond: wantedPerSecond,
    p50Ms: 1,
    p99Ms: 2,
    p999Ms: 3,
    worstMs: 4,
  })
  const report = benchReport([round(100, 80)], 4_000, [at(8), at(40)])
  assert.deepEqual(
    report.rates?.map(({ capacityShare }) => capacityShare),
    [0.1, 0.5],
  )
  assert.equal(report.rate?.wantedPerSecond, 8)
})

test('a rate is texts a second or a percentage of the capacity', () => {
  assert.deepEqual(
    askedRates('5%, 100 ,12.5').map((asked) => perSecondOf(asked, 400)),
    [20, 100, 12.5],
  )
  for (const wrong of ['', '0', '0%', '-5', '5%%', 'fast', '10,', '1e3', '2000000', '1001%']) {
    assert.throws(() => askedRates(wrong), { code: 'USAGE', message: /--rate/ }, wrong)
  }
})

test('a schedule is in intended times, whatever was sent before', () => {
  assert.deepEqual(
    [0, 1, 2, 100].map((index) => dueMs(index, 50)),
    [0, 20, 40, 2_000],
  )
})

test('percentiles are values that occurred', () => {
  const sorted = Array.from({ length: 1_000 }, (_, index) => index)
  assert.deepEqual(
    [0.5, 0.99, 0.999, 1].map((share) => percentile(sorted, share)),
    [500, 990, 999, 999],
  )
  assert.equal(percentile([], 0.5), 0)
  assert.equal(median([3, 1, 2]), 2)
})

test('texts are taken in a circle, and a line without one is named', async () => {
  const file = join(await temporaryFolder(), 'texts.jsonl')
  await writeFile(file, '{"text":"a"}\n{"text":"b"}\n')
  assert.deepEqual(benchTexts(file, 3), ['a', 'b', 'a'])
  assert.deepEqual(JSON.parse(String(benchMessage('a', 7).value)), { id: '7', text: 'a' })
  await writeFile(file, '{"text":"a"}\n{"words":"b"}\n')
  assert.throws(() => benchTexts(file, 1), { code: 'DATA_INVALID', message: /line 2/ })
  assert.throws(() => benchTexts(join(file, 'no'), 1), { code: 'FILE_UNREADABLE' })
})
