import type { benchReport } from '../../src/commands/bench-report.ts'
import { axis, frame, line, lineSize } from '../../src/core/line-plot.ts'
import { drawSvg } from '../../src/core/svg-plots.ts'
import { grouped, markdownTable } from './page-blocks.ts'

type Report = ReturnType<typeof benchReport>
type Rate = NonNullable<Report['rates']>[number]

const percentiles: readonly (readonly [name: string, ofMs: (rate: Rate) => number])[] = [
  ['p50', ({ p50Ms }) => p50Ms],
  ['p99', ({ p99Ms }) => p99Ms],
  ['p99.9', ({ p999Ms }) => p999Ms],
]

/** The curve as SVG: arrival rate in percent of the capacity, milliseconds on a logarithmic axis. */
export async function latencySvg({ rates = [], endToEnd, precision }: Report): Promise<string> {
  const capacity = `${grouped(endToEnd.textsPerSecond)} texts/s`
  const [svg = ''] = await drawSvg([
    {
      ...lineSize,
      option: {
        ...frame(`From due to acknowledged, ${precision ?? ''}`),
        xAxis: { ...axis(`texts arriving, in percent of ${capacity}`, 'x'), min: 0 },
        yAxis: { ...axis('milliseconds', 'y'), type: 'log' },
        series: percentiles.map(([name, ofMs], place) => ({
          ...line(
            place,
            name,
            rates.map((rate) => [100 * rate.capacityShare, ofMs(rate)]),
          ),
          symbol: 'circle',
          symbolSize: 6,
        })),
      },
    },
  ])
  return `${svg}\n`
}

/** What it was measured on, the picture and the table in Markdown. */
export function latencyTable({ rates = [], endToEnd, precision, provider, texts, rounds }: Report): string {
  const rows = rates.map((rate) => [
    `${(100 * rate.capacityShare).toFixed(0)} %`,
    grouped(rate.wantedPerSecond),
    grouped(rate.achievedPerSecond),
    ...percentiles.map(([, ofMs]) => grouped(ofMs(rate))),
    grouped(rate.worstMs),
  ])
  return [
    '![Latency against load](latency.svg)',
    `Capacity: ${grouped(endToEnd.textsPerSecond)} texts/s with a full backlog (median of ${rounds} rounds of ${grouped(texts)} texts, ${precision ?? ''} on ${provider ?? ''}).`,
    markdownTable(
      ['of the capacity', 'texts/s sent', 'achieved', 'p50, ms', 'p99, ms', 'p99.9, ms', 'worst, ms'],
      rows,
    ),
  ].join('\n\n')
}
