import { escapeHtml, figure, htmlPage, htmlTable } from '../core/html.ts'
import { axis, frame, line, lineSize, type Points } from '../core/line-plot.ts'
import { drawSvg, type UndrawnPlot } from '../core/svg-plots.ts'
import { type LiveSample, secondsQuantile, textsPerSecond } from './live-history.ts'
import type { MetricName, Metrics, MetricValue } from './metrics.ts'

/** How often a browser asks again, in seconds. */
const refreshSeconds = 2
/** Rates and percentiles are those of the last ten seconds. */
const windowSamples = 5
const plotHeight = 230
const mostLabels = 50

/**
 * A stream at a glance: its rate, lag and latency over the last ten minutes, and what it counted. A page without scripts;
 * the browser asks for it again by itself. Like the metrics it holds no texts.
 */
export async function renderLivePage(
  metrics: Metrics,
  samples: readonly LiveSample[],
  missing: string | null,
): Promise<string> {
  const [model] = await metrics.values('model_info')
  const title = model === undefined ? 'labelstream' : `labelstream: ${nameOf(model)}`
  const drawings = drawingsOf(samples)
  const svgs = await drawSvg(drawings)
  return htmlPage(
    title,
    [
      `<h1>${escapeHtml(title)}</h1>`,
      `<p class="${missing === null ? 'good' : 'bad'}">${escapeHtml(missing === null ? 'ready' : `not ready: ${missing}`)}</p>`,
      htmlTable(['', ''], await factsOf(metrics, samples)),
      ...drawings.map(({ alternative }, place) => figure({ svg: svgs[place] ?? '', alternative })),
      ...(await labelsSection(metrics)),
      '<p>From the same figures as <a href="metrics">/metrics</a>; rates and percentiles are those of ten seconds.</p>',
    ],
    `<meta http-equiv="refresh" content="${refreshSeconds}">\n`,
  )
}

const nameOf = ({ labels }: MetricValue): string =>
  `${labels['name']}@${labels['version']}, ${labels['precision']} on ${labels['provider']}`

async function factsOf(
  metrics: Metrics,
  samples: readonly LiveSample[],
): Promise<(readonly [string, string])[]> {
  const byLabels = async (name: MetricName): Promise<string> => {
    const series = (await metrics.values(name)).filter(({ value }) => value > 0)
    const total = series.reduce((sum, { value }) => sum + value, 0)
    const reasons = series.map(({ labels, value }) => `${Object.values(labels).join(' ')} ${count(value)}`)
    return reasons.length === 0 ? '0' : `${count(total)} (${reasons.join(', ')})`
  }
  const last = samples.at(-1)
  const before = samples.at(-1 - windowSamples) ?? samples[0]
  const now = last === undefined || before === undefined ? undefined : { last, before }
  const quantile = (q: number): string =>
    now === undefined ? 'none' : milliseconds(secondsQuantile(q, now.before.endToEnd, now.last.endToEnd))
  return [
    ['texts a second', now === undefined ? 'none' : textsPerSecond(now.before, now.last).toFixed(1)],
    ['time from reading to acknowledgement, p50 and p99', `${quantile(0.5)} and ${quantile(0.99)}`],
    ['messages behind the end', count(await metrics.total('consumer_lag'))],
    ['scored', count(await metrics.total('scored_total'))],
    ['of these known from an identical text', count(await metrics.total('cache_hits_total'))],
    ['dead letters', await byLabels('dead_letters_total')],
    ['retries', await byLabels('retries_total')],
    ['rebalances', count(await metrics.total('rebalances_total'))],
    ['inference processes replaced', await byLabels('inference_restarts_total')],
    ['model reloads', await byLabels('model_reloads_total')],
    ['padding', `${(100 * (await metrics.total('padding_share'))).toFixed(1)} %`],
    ['in flight', `${((await metrics.total('in_flight_bytes')) / 1e6).toFixed(2)} MB`],
  ]
}

async function labelsSection(metrics: Metrics): Promise<string[]> {
  const decisions = [...(await metrics.values('label_decisions_total'))].sort((a, b) => b.value - a.value)
  if (decisions.length === 0) return []
  const scored = await metrics.total('scored_total')
  return [
    '<h2>Labels given since the start</h2>',
    htmlTable(
      ['label', 'texts', 'share'],
      decisions
        .slice(0, mostLabels)
        .map(({ labels, value }) => [
          String(labels['label']),
          count(value),
          scored === 0 ? '' : `${((100 * value) / scored).toFixed(1)} %`,
        ]),
    ),
    ...(decisions.length > mostLabels ? [`<p>and ${decisions.length - mostLabels} more</p>`] : []),
  ]
}

function drawingsOf(samples: readonly LiveSample[]): (UndrawnPlot & { alternative: string })[] {
  const nowMs = samples.at(-1)?.timeMs ?? 0
  const minutes = (sample: LiveSample): number => (sample.timeMs - nowMs) / 60_000
  /** Of each sample and the one a window before it. */
  const windows = (value: (from: LiveSample, to: LiveSample) => number): Points =>
    samples.slice(1).map((to, place) => {
      const from = samples[Math.max(0, place + 1 - windowSamples)] ?? to
      return [minutes(to), value(from, to)] as const
    })
  const latency = (q: number): Points =>
    windows((from, to) => 1_000 * secondsQuantile(q, from.endToEnd, to.endToEnd))
  const plot = (title: string, unit: string, curves: ReturnType<typeof line>[]) => ({
    alternative: `${title} over the last ten minutes`,
    width: lineSize.width,
    height: plotHeight,
    option: {
      ...frame(title),
      xAxis: { ...axis('minutes', 'x'), min: -10, max: 0 },
      yAxis: { ...axis(unit, 'y'), min: 0, axisLine: { onZero: false } },
      series: curves,
    },
  })
  return [
    plot('Texts a second', 'texts/s', [line(0, 'scored', windows(textsPerSecond))]),
    plot('Messages behind the end', 'messages', [
      line(
        0,
        'lag',
        samples.map((sample) => [minutes(sample), sample.lag] as const),
      ),
    ]),
    plot('From reading to acknowledgement', 'ms', [
      line(0, 'p50', latency(0.5)),
      line(1, 'p99', latency(0.99)),
    ]),
  ]
}

const count = (value: number): string => value.toLocaleString('en-US')

const milliseconds = (seconds: number): string =>
  Number.isFinite(seconds) ? `${(1_000 * seconds).toFixed(0)} ms` : 'none'
