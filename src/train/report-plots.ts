import { precisionRecallCurve, reliabilityBins } from '../evaluation/curves.ts'
import { isPositive, knownCells } from '../evaluation/matrix.ts'
import type { EpochLoss } from './fit-head.ts'
import { type Points, axis, frame, line, lineSize } from '../core/line-plot.ts'
import { confusionDrawing } from './report-confusion.ts'
import type { Drawing, PlotData } from './report-drawing.ts'
import { type Plot, drawSvg } from '../core/svg-plots.ts'

const maxCurves = 12
const maxCurvePoints = 200

/**
 * Loss by epoch, precision-recall curves, reliability, and, where a picture can show it, the confusion of labels on the
 * dev part, as SVG without scripts or links.
 */
export async function reportPlots(data: PlotData): Promise<readonly Plot[]> {
  const confusion = confusionDrawing(data)
  const drawings: readonly Drawing[] = [
    lossDrawing(data),
    precisionRecallDrawing(data),
    reliabilityDrawing(data),
    ...(confusion === undefined ? [] : [confusion]),
  ]
  const pictures = await drawSvg(drawings)
  return drawings.map(({ alternative, note }, place) => ({
    svg: pictures[place] ?? '',
    alternative,
    ...(note === undefined ? {} : { note }),
  }))
}

function lossDrawing({ history, bestEpoch }: PlotData): Drawing {
  const pointsOf = (lossOf: (row: EpochLoss) => number): Points =>
    history.map((row) => [row.epoch, lossOf(row)] as const).filter(([, loss]) => Number.isFinite(loss))
  const kept = {
    symbol: 'none',
    lineStyle: { color: '#555', type: 'dotted' },
    label: { formatter: 'kept', color: '#333' },
    data: [{ xAxis: bestEpoch }],
  }
  const train = line(
    0,
    'train',
    pointsOf(({ trainLoss }) => trainLoss),
  )
  const dev = line(
    1,
    'dev',
    pointsOf(({ devLoss }) => devLoss),
  )
  const last = history.at(-1)
  const symbols = history.length <= 40 ? { symbol: 'circle', symbolSize: 5 } : {}
  return {
    ...lineSize,
    option: {
      ...frame('Loss by epoch'),
      xAxis: {
        ...axis('epoch', 'x'),
        minInterval: 1,
        min: Math.min(1, last?.epoch ?? 1),
        max: last?.epoch ?? 1,
      },
      yAxis: { ...axis('loss', 'y'), scale: true },
      series: [
        { ...train, ...symbols, markLine: kept },
        { ...dev, ...symbols },
      ],
    },
    alternative: `Loss by epoch. After ${last?.epoch ?? 0} epochs: train ${inWords(last?.trainLoss)}, dev ${inWords(last?.devLoss)}. Epoch ${bestEpoch} was kept.`,
  }
}

function precisionRecallDrawing({ labels, scores, targets }: PlotData): Drawing {
  const all = labels
    .map((label, column) => {
      const cells = knownCells(scores, targets, column)
      return { label, cells, positives: cells.targets.filter(isPositive).length }
    })
    .filter(({ positives }) => positives > 0)
  const drawn = all.toSorted((a, b) => b.positives - a.positives).slice(0, maxCurves)
  const series = drawn.map(({ label, cells }, place) => ({
    ...line(place, label, curvePoints(cells)),
    step: 'end',
  }))
  const isPartial = drawn.length < labels.length
  const note =
    drawn.length < all.length
      ? `Only the ${maxCurves} labels with the most positives in dev are drawn.`
      : 'Labels without a positive in dev have no curve.'
  return {
    ...lineSize,
    option: {
      ...frame('Precision and recall on dev, by label'),
      xAxis: { ...axis('recall', 'x'), min: 0, max: 1 },
      yAxis: { ...axis('precision', 'y'), min: 0, max: 1 },
      series,
    },
    alternative: `Precision-recall curves on the dev part of ${drawn.length} of ${labels.length} labels; the tables below have precision and recall at the chosen thresholds.`,
    ...(isPartial ? { note } : {}),
  }
}

function reliabilityDrawing({ scores, targets }: PlotData): Drawing {
  const bins = reliabilityBins(scores, targets)
  const measured = line(
    0,
    'model',
    bins.map(({ meanScore, meanTarget }) => [meanScore, meanTarget]),
  )
  const perfect = line(4, 'perfect', [
    [0, 0],
    [1, 1],
  ])
  const points = bins.map(
    ({ meanScore, meanTarget, count }) =>
      `score ${inWords(meanScore)}: ${inWords(meanTarget)} positive, of ${count}`,
  )
  return {
    ...lineSize,
    option: {
      ...frame('Reliability on dev, all labels'),
      xAxis: { ...axis('mean score of the bin', 'x'), min: 0, max: 1 },
      yAxis: { ...axis('part that is positive', 'y'), min: 0, max: 1 },
      series: [
        { ...measured, symbol: 'circle', symbolSize: 8 },
        { ...perfect, lineStyle: { color: '#555', type: 'dashed', width: 1.5 } },
      ],
    },
    alternative: `Reliability on the dev part in ten bins of the score. ${points.join('; ')}.`,
  }
}

/** Every nth point where there are many; the ends are kept. */
function curvePoints(cells: { scores: Float32Array; targets: Float32Array }): Points {
  const { precision, recall } = precisionRecallCurve(cells.scores, cells.targets) ?? {
    precision: new Float64Array(0),
    recall: new Float64Array(0),
  }
  const every = Math.ceil(recall.length / maxCurvePoints)
  return Array.from(recall, (x, place) => [x, precision[place] ?? 0] as const).filter(
    (_point, place) => place % every === 0 || place === recall.length - 1,
  )
}

const inWords = (value: number | undefined): string =>
  value !== undefined && Number.isFinite(value) ? value.toFixed(2) : 'unknown'
