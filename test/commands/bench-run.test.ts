import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testBroker } from '../support/broker.ts'
import { cliJson } from '../support/cli.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { writeSmallModel } from '../support/small-model.ts'

interface Report {
  readonly session: Readonly<Record<string, number>>
  readonly products: { readonly sessionShare: number }
  readonly endToEnd: Readonly<Record<string, number>>
  readonly ratio: number
  readonly paddingShare: number
  readonly rate: Readonly<Record<string, number>>
  readonly precision: string
  readonly provider: string
}

test('bench measures session and stream in the precision asked for, and every latency of its schedule', async () => {
  const { path } = await writeSmallModel(await temporaryFolder())
  const { brokers } = await testBroker()
  const report = (await cliJson([
    ...['bench', '--messages', '200', '--rounds', '1', '--rate', '50', '--seconds', '2'],
    ...['--runtime-precision', 'int8', '--runtime-provider', 'cpu', '--model', path],
    ...['--kafka-brokers', brokers.join(',')],
  ])) as Report
  assert.equal(report.precision, 'int8')
  assert.equal(report.provider, 'cpu')
  for (const [name, value] of Object.entries({
    ...report.session,
    ...report.endToEnd,
    ratio: report.ratio,
    sessionShare: report.products.sessionShare,
  })) {
    assert.ok(value > 0 && Number.isFinite(value), name)
  }
  assert.ok(report.paddingShare >= 0 && report.paddingShare < 1)
  const {
    wantedPerSecond,
    achievedPerSecond = 0,
    p50Ms = 0,
    p99Ms = 0,
    p999Ms = 0,
    worstMs = 0,
  } = report.rate
  assert.equal(wantedPerSecond, 50)
  assert.ok(achievedPerSecond > 0)
  assert.ok(p50Ms > 0 && p50Ms <= p99Ms && p99Ms <= p999Ms && p999Ms <= worstMs)
})
