import { escapeHtml, htmlPage, htmlTable } from '../core/html.ts'
import type { CompareRow, Comparison } from './compare.ts'

export const compareHeader: readonly string[] = [
  'strategy',
  'macro-F1',
  'micro-F1',
  'training s',
  'trained parameters',
  'peak memory MB',
  'texts/s',
  'model MB',
]

/** One strategy's figures for people, under `compareHeader`. */
export const compareCells = (row: CompareRow): readonly (string | number)[] => [
  row.strategy,
  row.macroF1.toFixed(3),
  row.microF1.toFixed(3),
  Math.round(row.trainSeconds),
  row.trainableParameters,
  Math.round(row.peakMemoryBytes / 1e6),
  Math.round(row.scoreTextsPerSecond),
  Math.round(row.modelBytes / 1e6),
]

/** A comparison as one HTML page. It holds no texts. */
export function renderComparison(source: string, comparison: Comparison): string {
  const { measuredOn, measuredRows, rows, recommended, why, warnings } = comparison
  return htmlPage('Which strategy?', [
    '<h1>Which strategy?</h1>',
    htmlTable(
      ['', ''],
      [
        ['data', source],
        ['quality measured on', `${measuredOn} part, ${measuredRows} rows`],
      ],
    ),
    `<p class="good">Recommended: ${escapeHtml(recommended)}. ${escapeHtml(why)}</p>`,
    ...warnings.map((warning) => `<p class="bad">${escapeHtml(warning)}</p>`),
    htmlTable(compareHeader, rows.map(compareCells)),
    '<p>All strategies had the same rows and seed. Training time is that of the whole command, scoring speed that of this machine.</p>',
  ])
}
