import assert from 'node:assert/strict'
import { test } from 'node:test'
import { growthAxes, growthCells, textsOfLength } from './growth-cells.ts'
import { type GrowthReport, rowOf } from './growth-report.ts'
import { latencySvg, latencyTable } from './latency-chart.ts'
import { fillBlock, grouped, markdownTable } from './page-blocks.ts'
import { printedJson, runProgram } from './program.ts'
import { programCost } from './program-cost.ts'
import { inTurn, spreadOf } from './rounds.ts'
import { growthTable, planText, scalePlan } from './scale-plan.ts'
import { shippedEncoder } from './shipped.ts'
import { loadTokenizer } from '../../src/text/tokenizer.ts'

test('contenders run in turn, and each keeps its results in order', async () => {
  const order: string[] = []
  const contender = (name: string) => ({
    name,
    run: (round: number) => {
      order.push(`${name}${round}`)
      return Promise.resolve(round * 10)
    },
  })
  const results = await inTurn([contender('a'), contender('b')], 2)
  assert.deepEqual(order, ['a1', 'b1', 'a2', 'b2'])
  assert.deepEqual(results.get('b'), [10, 20])
  assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, min: 1, max: 3 })
})

test('a program may print its JSON alone or last, and one that fails is told of with its last words', async () => {
  const node = (program: string) => printedJson(process.execPath, ['-e', program])
  assert.deepEqual(await node('console.log(JSON.stringify({ a: 1 }, undefined, 2))'), { a: 1 })
  assert.deepEqual(await node('console.log("loading"); console.log(JSON.stringify({ b: 2 }))'), { b: 2 })
  await assert.rejects(
    node('console.error("no such model"); process.exit(3)'),
    /ended with 3:\nno such model/,
  )
  await assert.rejects(node('console.log("done")'), /printed no JSON/)
})

test('the cost of a program has the processor time of those that it started', async () => {
  const busy = 'while (process.cpuUsage().user < 200_000);'
  const parent = `require('node:child_process').spawnSync(process.execPath, ['-e', '${busy}'])`
  const { processorSeconds } = await programCost(() => runProgram(process.execPath, ['-e', parent]))
  assert.ok(processorSeconds >= 0.2, `${processorSeconds} s`)
})

test('texts have exactly the tokens that were asked for', async () => {
  const tokenizer = await loadTokenizer(shippedEncoder)
  for (const tokens of [8, 512]) {
    const texts = textsOfLength(shippedEncoder, tokens, 5)
    assert.deepEqual(
      texts.map((text) => tokenizer.encode(text).length + 2),
      Array.from({ length: 5 }, () => tokens),
    )
  }
})

const figures = (textsPerSecond: number) => ({
  textsPerSecond,
  tokensPerSecond: textsPerSecond * 24,
  paddingShare: 0.02,
  peakMemoryBytes: 500 * 2 ** 20,
  inputBytes: 100,
  outputBytes: 400,
  outputGzipBytes: 150,
})

/** 100 texts/s on one core, 180 with two threads, 190 with two processes, and 100 for everything else. */
function growth(): GrowthReport {
  const rates = [100, 180, 190]
  const rows = growthCells(growthAxes, 2).map((cell, index) => rowOf(cell, [figures(rates[index] ?? 100)]))
  return {
    processor: 'P',
    cores: 2,
    node: 'v20',
    precision: 'int8',
    rounds: 1,
    cellSeconds: 5,
    minutes: 1,
    rows,
  }
}

test('a plan takes the fastest way to use all cores, and leaves room', () => {
  const target = { textsPerSecond: 1_000_000, utilisation: 0.5, replicas: 3, readers: 2 }
  const plan = scalePlan(growth(), target)
  // one member with two inference processes of one thread each
  assert.equal(plan.podTextsPerSecond, 190)
  assert.equal(plan.podCores, 2)
  assert.equal(plan.pods, Math.ceil(1e6 / 95))
  assert.equal(plan.partitions, 2 * plan.pods)
  assert.equal(plan.coreHoursPerMillion.toFixed(3), ((2 * 1e6) / 95 / 3_600).toFixed(3))
  assert.deepEqual(plan.network, { produced: 500e6, replicated: 1_000e6, consumed: 900e6 })
  assert.match(planText(growth(), target), /\| pods \| 10,527 \|/)
  assert.match(growthTable(growth()), /\| tokens of every text \| 512 \| 100 \|/)
})

test('a block of a page is replaced, and one that is missing is named', () => {
  const page = 'a\n<!-- growth -->\n\nold\n\n<!-- /growth -->\nb\n'
  assert.equal(fillBlock(page, 'growth', 'new'), page.replace('old', 'new'))
  assert.throws(() => fillBlock(page, 'plan', ''), /<!-- plan -->/)
  assert.equal(markdownTable(['x', 'y'], [[1, 'b']]), '| x | y |\n|---|---|\n| 1 | b |')
  assert.equal(grouped(12_345.67, 1), '12,345.7')
})

test('a latency curve has an axis of milliseconds and a curve for each percentile', async () => {
  const rate = (capacityShare: number) => ({
    wantedPerSecond: 1_000 * capacityShare,
    achievedPerSecond: 1_000 * capacityShare,
    capacityShare,
    p50Ms: 5,
    p99Ms: 20,
    p999Ms: 300,
    worstMs: 400,
  })
  const report = {
    rates: [rate(0.1), rate(0.9)],
    endToEnd: { textsPerSecond: 1_000 },
    precision: 'int8',
    provider: 'cpu',
    texts: 10,
    rounds: 1,
  } as unknown as Parameters<typeof latencySvg>[0]
  const svg = await latencySvg(report)
  for (const words of ['milliseconds', 'p50', 'p99', 'p99.9', '1,000'])
    assert.ok(svg.includes(`>${words}</text>`), words)
  assert.doesNotMatch(svg, /NaN|undefined|<script/)
  assert.match(latencyTable(report), /\| 90 % \| 900 \| 900 \| 5 \| 20 \| 300 \| 400 \|/)
})
