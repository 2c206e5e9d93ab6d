/**
 * Latency against load: `bench --rate` at shares of the capacity, drawn as docs/latency.svg, and as a table in the
 * block `latency` of docs/performance.md:
 *
 *   node build/test/bench/latency-curve.js [--shares 5,10,25,50,75,90,100] [--seconds 60] [BENCH OPTIONS]
 *
 * What follows `--` goes to `bench`, such as `-- --runtime-precision int8 --data messages.jsonl`. With
 * `--from FILE` the figures are those of a `bench --rate ... --json` that was run before.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { benchReport } from '../../src/commands/bench-report.ts'
import { packageRoot } from '../../src/core/paths.ts'
import { latencySvg, latencyTable } from './latency-chart.ts'
import { fillBlock } from './page-blocks.ts'
import { printedJson, wholeNumber } from './program.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    shares: { type: 'string', default: '5,10,25,50,75,90,100' },
    seconds: { type: 'string', default: '60' },
    from: { type: 'string' },
    svg: { type: 'string', default: join(packageRoot, 'docs', 'latency.svg') },
    page: { type: 'string', default: join(packageRoot, 'docs', 'performance.md') },
  },
})

const report = (
  values.from === undefined ? await measured() : JSON.parse(readFileSync(values.from, 'utf8'))
) as ReturnType<typeof benchReport>
const { rates = [] } = report
if (rates.length === 0) throw new Error('the report has no rates: run bench with --rate')
const table = latencyTable(report)
writeFileSync(values.svg, await latencySvg(report))
writeFileSync(values.page, fillBlock(readFileSync(values.page, 'utf8'), 'latency', table))
process.stdout.write(`${table}\n`)

function measured(): Promise<unknown> {
  const cliFile = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
  const shares = values.shares.split(',').map((share) => `${share}%`)
  const seconds = String(wholeNumber('seconds', values.seconds))
  return printedJson(process.execPath, [
    cliFile,
    'bench',
    '--json',
    '--rate',
    shares.join(','),
    '--seconds',
    seconds,
    ...positionals,
  ])
}
