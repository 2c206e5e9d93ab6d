import { escapeHtml, figure, htmlPage, htmlTable } from '../core/html.ts'
import type { Plot } from '../core/svg-plots.ts'
import type { Metrics } from '../evaluation/metrics.ts'
import type { PartCounts } from './data-counts.ts'
import type { EpochLoss } from './fit-head.ts'
import type { GateResult } from './gate.ts'
import {
  type LabelNoiseReport,
  disagreementHeader,
  disagreementRows,
  noiseHeader,
  noiseRows,
} from './label-noise.ts'
import type { Table } from './report-drawing.ts'
import type { Mistake, ScoredLabel } from './worst-mistakes.ts'

export interface Report {
  readonly title: string
  readonly facts: readonly (readonly [name: string, value: string | number])[]
  readonly warnings: readonly string[]
  readonly parts: readonly PartCounts[]
  readonly labels: readonly string[]
  /** Metrics by part of the data: dev, test. */
  readonly metrics: Readonly<Record<string, Metrics>>
  readonly history: readonly EpochLoss[]
  readonly bestEpoch: number
  readonly gate: GateResult
  readonly plots: readonly Plot[]
  /** Labels taken for others, where there are too many for a plot. */
  readonly confusion: Table | undefined
  /** Of the dev part. */
  readonly mistakes: readonly Mistake[]
  /** Where it was asked for. */
  readonly labelNoise?: LabelNoiseReport
}

/**
 * The report of one training as a single HTML page without scripts, fonts or links. It names rows by id and holds no
 * texts: model folders are passed on.
 */
export function renderReport(report: Report): string {
  const sections = [
    `<h1>${escapeHtml(report.title)}</h1>`,
    htmlTable(['', ''], report.facts),
    `<p class="${report.gate.passed ? 'good' : 'bad'}">Gate ${report.gate.passed ? 'passed' : 'not passed'}: ${escapeHtml(report.gate.reasons.join('; '))}</p>`,
    ...report.warnings.map((warning) => `<p class="bad">${escapeHtml(warning)}</p>`),
    ...dataSection(report),
    '<h2>Plots</h2>',
    ...report.plots.map(figure),
    ...confusionSection(report.confusion),
    ...mistakesSection(report.mistakes),
    ...noiseSection(report.labelNoise),
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

/** Positives by label and part; the unknown only where there are any. */
function dataSection({ labels, parts }: Report): string[] {
  const total = parts.reduce((sum, { rows }) => sum + rows, 0)
  const hasUnknown = parts.some(({ unknown }) => unknown.some((count) => count > 0))
  const sumOver = (countsOf: (part: PartCounts) => Float64Array, place: number): number =>
    parts.reduce((sum, part) => sum + (countsOf(part)[place] ?? 0), 0)
  return [
    '<h2>Data</h2>',
    htmlTable(
      [
        'positives of',
        `all (${total} rows)`,
        'share',
        ...parts.map(({ part, rows }) => `${part} (${rows})`),
        ...(hasUnknown ? ['unknown'] : []),
      ],
      labels.map((label, place) => {
        const all = sumOver(({ positives }) => positives, place)
        const unknown = sumOver((part) => part.unknown, place)
        return [
          label,
          tenths(all),
          total === unknown ? '' : `${((100 * all) / (total - unknown)).toFixed(1)} %`,
          ...parts.map(({ positives }) => tenths(positives[place] ?? 0)),
          ...(hasUnknown ? [unknown] : []),
        ]
      }),
    ),
  ]
}

const confusionSection = (confusion: Table | undefined): string[] =>
  confusion === undefined || confusion.rows.length === 0
    ? []
    : [
        '<h2>What is decided in place of a missed label</h2>',
        '<p>On dev. A text with several wrong labels counts in part for each.</p>',
        htmlTable(confusion.header, confusion.rows),
      ]

function mistakesSection(mistakes: readonly Mistake[]): string[] {
  if (mistakes.length === 0)
    return ['<h2>Worst mistakes on dev</h2>', '<p>No row of dev was decided wrongly.</p>']
  return [
    '<h2>Worst mistakes on dev</h2>',
    '<p>The rows with the highest loss among those decided wrongly, each label with its score.</p>',
    htmlTable(
      ['row', 'loss', 'missed', 'decided wrongly', 'right'],
      mistakes.map(({ id, loss, missed, wrong, right }) => [
        id,
        loss.toFixed(2),
        scoredLabels(missed),
        scoredLabels(wrong),
        scoredLabels(right),
      ]),
    ),
  ]
}

/** A soft target is shown beside its score. */
const scoredLabels = (labels: readonly ScoredLabel[]): string =>
  labels
    .map(({ label, score, target }) => {
      const soft = target > 0 && target < 1 ? ` (given ${Number(target.toFixed(3))})` : ''
      return `${label} ${score.toFixed(2)}${soft}`
    })
    .join(', ')

function noiseSection(noise: LabelNoiseReport | undefined): string[] {
  if (noise === undefined) return []
  return [
    '<h2>Given labels that look wrong</h2>',
    `<p>Estimated by confident learning over ${noise.folds} folds of all ${noise.rows} rows, with a linear head on the frozen encoder.</p>`,
    htmlTable(noiseHeader, noiseRows(noise)),
    ...(noise.disagreements.length === 0
      ? []
      : [
          `<p>The strongest of ${noise.disagreements.length} disagreements.</p>`,
          htmlTable(disagreementHeader, disagreementRows(noise, 30)),
        ]),
  ]
}

const tenths = (value: number): number => Math.round(value * 10) / 10

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
