import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matrix } from '../../src/evaluation/matrix.ts'
import { reportPlots } from '../../src/train/report-plots.ts'

/** Rows whose scores follow the targets loosely: label number n has n positives fewer than half of the rows. */
function plotData(labels: readonly string[], rows = 60) {
  const cells = Array.from({ length: rows * labels.length }, (_, cell) => {
    const row = Math.floor(cell / labels.length)
    return row < rows / 2 - (cell % labels.length) ? 1 : 0
  })
  return {
    labels,
    scores: matrix(
      rows,
      labels.length,
      Float32Array.from(cells, (target, cell) => ((cell * 37) % 100) / 200 + target * 0.4),
    ),
    targets: matrix(rows, labels.length, Float32Array.from(cells)),
    thresholds: labels.map(() => 0.5),
    history: [1, 2, 3].map((epoch) => ({ epoch, trainLoss: 1 / epoch, devLoss: 1.2 / epoch })),
    bestEpoch: 3,
  }
}

test('there are four plots with title, axes and words for those who do not see them', async () => {
  const plots = await reportPlots(plotData(['animal', 'vehicle']))
  const shown = [
    ['Loss by epoch', 'epoch', 'loss', 'train', 'dev', 'kept'],
    ['Precision and recall on dev, by label', 'recall', 'precision', 'animal', 'vehicle'],
    ['Reliability on dev, all labels', 'mean score of the bin', 'part that is positive', 'perfect'],
    ['What is decided in place of a missed label, on dev (%)', 'animal', 'nothing'],
  ]
  assert.equal(plots.length, shown.length)
  plots.forEach(({ svg, alternative, note }, place) => {
    for (const words of shown[place] ?? []) assert.ok(svg.includes(`>${words}</text>`), words)
    assert.ok(alternative.length > 40)
    assert.equal(note === undefined, place < 3)
    assert.doesNotMatch(svg, /NaN|undefined/)
  })
})

test('of many labels the 12 with the most positives are drawn, and the page says so', async () => {
  const labels = Array.from({ length: 20 }, (_, place) => `label-${place}`)
  const [, curves] = await reportPlots(plotData(labels))
  assert.ok(curves)
  assert.ok(curves.svg.includes('>label-11</text>'))
  assert.ok(!curves.svg.includes('>label-12</text>'))
  assert.equal(curves.note, 'Only the 12 labels with the most positives in dev are drawn.')
})

test('label names cannot become markup, and a dev part without positives or losses still has its plots', async () => {
  const hostile = '<script>alert(1)</script>'
  const some = await reportPlots(plotData([hostile]))
  const empty = await reportPlots({
    labels: [hostile],
    scores: matrix(1, 1, Float32Array.of(0.5)),
    targets: matrix(1, 1, Float32Array.of(NaN)),
    thresholds: [0.5],
    history: [{ epoch: 1, trainLoss: 0.5, devLoss: NaN }],
    bestEpoch: 1,
  })
  assert.equal(empty[1]?.note, 'Labels without a positive in dev have no curve.')
  for (const { svg } of [...some, ...empty]) {
    assert.match(svg, /^<svg/)
    assert.doesNotMatch(svg, /<script|NaN/)
  }
})
