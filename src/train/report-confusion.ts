import {
  type ConfusedPair,
  type ConfusionRow,
  confusedPairs,
  labelConfusion,
} from '../evaluation/label-confusion.ts'
import type { Drawing, PlotData, Table } from './report-drawing.ts'
import { sheet } from '../core/svg-plots.ts'

/** More labels than this are no picture; a table names the pairs that are confused most. */
const maxHeatMapLabels = 40
const maxTableRows = 40

/** Pixels that the name of a row may take, and of a column along its slant. */
const nameWidth = 190
const slantedNameWidth = 130
const legendHeight = 74
/** A single text of a rare label would set the scale for all. */
const positivesToScaleBy = 10
const headHeight = 130

const found = ['#f4f4f4', '#737373'] as const
const confused = ['#fff3e0', '#c2410c'] as const

/**
 * The confusion of labels on the dev part: of each label's positives, which share was found, and which label was
 * decided in its place. Undefined with one label, or too many for a picture.
 */
export function confusionDrawing(data: PlotData): Drawing | undefined {
  const { labels, scores, targets, thresholds } = data
  if (labels.length < 2 || labels.length > maxHeatMapLabels) return undefined
  const confusion = labelConfusion(scores, targets, thresholds)
  const pairs = confusedPairs(confusion)
  const cell = cellSize(labels.length)
  const columns = [...labels, 'nothing']
  const enough = pairs.filter(({ missed }) => (confusion[missed]?.positives ?? 0) >= positivesToScaleBy)
  const worst = Math.max(...(enough.length === 0 ? pairs : enough).map(({ share }) => share), 0.01)
  return {
    width: nameWidth + 30 + columns.length * cell + 60,
    height: headHeight + 40 + labels.length * cell + legendHeight,
    option: {
      ...sheet('What is decided in place of a missed label, on dev (%)', 16),
      grid: {
        left: nameWidth + 30,
        top: headHeight + 40,
        width: columns.length * cell,
        height: labels.length * cell,
      },
      xAxis: {
        ...nameAxis(columns),
        position: 'top',
        axisLabel: { ...nameLabel, rotate: -60, width: slantedNameWidth },
      },
      yAxis: {
        ...nameAxis(confusion.map(({ positives }, row) => `${shortName(labels[row] ?? '')} (${positives})`)),
        inverse: true,
        axisLabel: { ...nameLabel, width: nameWidth },
      },
      visualMap: [
        legendOf(0, { colours: found, max: 1, name: 'found, or nothing instead', bottom: 34 }),
        legendOf(1, { colours: confused, max: worst, name: 'another label instead', bottom: 8 }),
      ],
      series: [
        heatMap('found, or nothing decided instead', cell, ownCells(confusion)),
        heatMap('another label decided instead', cell, pairCells(pairs, worst)),
      ],
    },
    alternative: `Of each label's positives in dev, the share that was found and what was decided in place of those missed. ${inWords(pairs, labels)}`,
    note: 'A row is a given label with the number of its positives, and sums to 100 %: on the diagonal the share that was found, in the last column the share missed with no other label decided wrongly, elsewhere the share missed with that label decided in its place (several share a text evenly). Labels without a positive in dev have an empty row.',
  }
}

/** The same where there are too many labels for a picture: the pairs that are confused most. */
export function confusionTable({ labels, scores, targets, thresholds }: PlotData): Table | undefined {
  if (labels.length <= maxHeatMapLabels) return undefined
  const pairs = confusedPairs(labelConfusion(scores, targets, thresholds)).slice(0, maxTableRows)
  return {
    header: ['missed label', 'decided instead', 'rows', 'share of its positives'],
    rows: pairs.map(({ missed, instead, rows, share }) => [
      labels[missed] ?? '',
      labels[instead] ?? '',
      Math.round(rows * 10) / 10,
      percent(share),
    ]),
  }
}

const cellSize = (labels: number): number => (labels <= 8 ? 52 : labels <= 16 ? 36 : labels <= 28 ? 24 : 19)

type HeatCell = readonly [column: number, row: number, shade: number, share: number]

/** The diagonal, and the last column. */
const ownCells = (confusion: readonly ConfusionRow[]): readonly HeatCell[] =>
  confusion.flatMap(({ positives, found: hits, nothing }, row): HeatCell[] =>
    positives === 0
      ? []
      : [
          [row, row, hits / positives, hits / positives],
          [confusion.length, row, nothing / positives, nothing / positives],
        ],
  )

const pairCells = (pairs: readonly ConfusedPair[], worst: number): readonly HeatCell[] =>
  pairs.map(({ missed, instead, share }) => [instead, missed, Math.min(share, worst), share])

const shortName = (label: string): string => (label.length <= 22 ? label : `${label.slice(0, 21).trimEnd()}…`)

const nameLabel = { interval: 0, color: '#111', fontSize: 12, overflow: 'truncate' }

const nameAxis = (names: readonly string[]) => ({
  type: 'category',
  data: names,
  axisTick: { show: false },
  axisLine: { show: false },
  splitLine: { show: true, lineStyle: { color: '#e5e5e5' } },
})

/** Shares below a hundredth are left to the colour; small cells have room for two digits. */
const heatMap = (name: string, cell: number, data: readonly HeatCell[]) => ({
  type: 'heatmap',
  name,
  data,
  itemStyle: { borderColor: '#fff', borderWidth: 1 },
  label: {
    show: true,
    fontSize: Math.min(12, Math.round(cell * 0.46)),
    formatter: ({ value }: { value: HeatCell }) =>
      value[3] < 0.005 ? '' : String(Math.round(value[3] * 100)),
  },
})

interface Legend {
  readonly colours: readonly string[]
  readonly max: number
  readonly name: string
  readonly bottom: number
}

const legendOf = (seriesIndex: number, { colours, max, name, bottom }: Legend) => ({
  type: 'continuous',
  seriesIndex,
  dimension: 2,
  min: 0,
  max,
  orient: 'horizontal',
  left: 16,
  bottom,
  itemWidth: 12,
  itemHeight: 90,
  inRange: { color: [...colours] },
  text: [`${percent(max)}${max < 1 ? ' or more' : ''}: ${name}`, '0 %'],
  textStyle: { color: '#111' },
})

function inWords(pairs: readonly ConfusedPair[], labels: readonly string[]): string {
  if (pairs.length === 0) return 'No label was decided in place of another.'
  const most = pairs
    .slice(0, 5)
    .map(
      ({ missed, instead, share }) =>
        `${labels[instead] ?? ''} for ${labels[missed] ?? ''} (${percent(share)})`,
    )
  return `Most often: ${most.join(', ')}.`
}

const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`
