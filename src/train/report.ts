import type { Metrics } from '../evaluation/metrics.ts'
import type { EpochLoss } from './fit-head.ts'
import type { GateResult } from './gate.ts'
import type { Plot } from './report-plots.ts'

export interface Report {
  readonly title: string
  readonly facts: readonly (readonly [name: string, value: string | number])[]
  readonly warnings: readonly string[]
  readonly parts: readonly {
    readonly part: string
    readonly rows: number
    readonly positives: Float64Array
  }[]
  readonly labels: readonly string[]
  /** Metrics by part of the data: dev, test. */
  readonly metrics: Readonly<Record<string, Metrics>>
  readonly history: readonly EpochLoss[]
  readonly bestEpoch: number
  readonly gate: GateResult
  readonly plots: readonly Plot[]
}

/** The report of one training as a single HTML page without scripts, fonts or links. It holds no texts. */
export function renderReport(report: Report): string {
  const sections = [
    `<h1>${escapeHtml(report.title)}</h1>`,
    htmlTable(['', ''], report.facts),
    `<p class="${report.gate.passed ? 'good' : 'bad'}">Gate ${report.gate.passed ? 'passed' : 'not passed'}: ${escapeHtml(report.gate.reasons.join('; '))}</p>`,
    ...report.warnings.map((warning) => `<p class="bad">${escapeHtml(warning)}</p>`),
    '<h2>Data</h2>',
    htmlTable(
      ['positives of', ...report.parts.map(({ part, rows }) => `${part} (${rows} rows)`)],
      report.labels.map((label, place) => [
        label,
        ...report.parts.map(({ positives }) => Math.round((positives[place] ?? 0) * 10) / 10),
      ]),
    ),
    '<h2>Plots</h2>',
    ...report.plots.map(figure),
    ...Object.entries(report.metrics).flatMap(([part, metrics]) => metricsSection(part, metrics)),
    '<h2>Loss</h2>',
    htmlTable(
      ['epoch', 'train', 'dev', ''],
      report.history.map(({ epoch, trainLoss, devLoss }) => [
        epoch,
        trainLoss.toFixed(4),
        devLoss.toFixed(4),
        epoch === report.bestEpoch ? 'kept' : '',
      ]),
    ),
  ]
  return htmlPage(report.title, sections)
}

/** A whole page without scripts, fonts or links. */
export const htmlPage = (title: string, sections: readonly string[]): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
${sections.join('\n')}
</body>
</html>
`

const figure = ({ svg, alternative, note }: Plot): string =>
  `<figure><div role="img" aria-label="${escapeHtml(alternative)}">${svg}</div>${note === undefined ? '' : `<figcaption>${escapeHtml(note)}</figcaption>`}</figure>`

function metricsSection(part: string, { perLabel, rows, ...averages }: Metrics): string[] {
  return [
    `<h2>Quality on ${escapeHtml(part)} (${rows} rows)</h2>`,
    htmlTable(
      ['', ''],
      Object.entries(averages).map(([name, value]) => [name, value.toFixed(4)] as const),
    ),
    htmlTable(
      ['label', 'precision', 'recall', 'F1', 'support', 'threshold'],
      Object.entries(perLabel).map(([label, { precision, recall, f1, support, threshold }]) => [
        label,
        precision.toFixed(3),
        recall.toFixed(3),
        f1.toFixed(3),
        support,
        threshold.toFixed(3),
      ]),
    ),
  ]
}

export function htmlTable(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const line = (cells: readonly (string | number)[], tag: 'th' | 'td'): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(String(cell))}</${tag}>`).join('')}</tr>`
  const head = header.some((title) => title !== '') ? `<thead>${line(header, 'th')}</thead>` : ''
  return `<table>${head}<tbody>${rows.map((row) => line(row, 'td')).join('')}</tbody></table>`
}

export const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const style = `
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); font-variant-numeric: tabular-nums }
figure { margin: 1rem 0; break-inside: avoid } figure svg { max-width: 100%; height: auto }
.good { color: #1a7f37 } .bad { color: #cf222e }
`
