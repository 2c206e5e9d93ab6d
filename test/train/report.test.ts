import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matrix } from '../../src/evaluation/matrix.ts'
import { evaluateScores } from '../../src/evaluation/metrics.ts'
import { renderReport } from '../../src/train/report.ts'

const report = {
  title: 'things',
  facts: [['data', 'rows.jsonl']] as const,
  warnings: ['label <b>"x"</b> has no positive in the dev part'],
  parts: [
    { part: 'train', rows: 3, positives: Float64Array.of(1.5), unknown: Float64Array.of(1) },
    { part: 'dev', rows: 2, positives: Float64Array.of(1), unknown: Float64Array.of(0) },
  ],
  labels: ['<script>alert(1)</script>'],
  metrics: {
    dev: evaluateScores(
      matrix(1, 1, Float32Array.of(0.9)),
      matrix(1, 1, Float32Array.of(1)),
      ['good'],
      [0.5],
    ),
  },
  history: [{ epoch: 1, trainLoss: 0.5, devLoss: 0.25 }],
  bestEpoch: 1,
  gate: { passed: false, reasons: ['significantly worse'] },
  plots: [{ svg: '<svg></svg>', alternative: 'a "curve"', note: 'two & more' }],
  confusion: { header: ['missed label', 'decided instead'], rows: [['cat', 'dog']] },
  mistakes: [
    {
      id: 'row <7>',
      loss: 4.25,
      missed: [{ label: 'cat', score: 0.1, target: 0.75 }],
      wrong: [{ label: 'dog', score: 0.912, target: 0 }],
      right: [],
    },
  ],
  labelNoise: {
    rows: 5,
    folds: 5,
    labels: [
      { label: 'cat', judged: true, positives: 21, negatives: 30, missing: 3, wronglyGiven: 2 },
      { label: 'dog', judged: false, positives: 1, negatives: 50, missing: 0, wronglyGiven: 0 },
    ],
    disagreements: [{ row: 0, column: 0, given: 1, predicted: 0.0125, id: 'row-9', label: 'cat' }],
  },
}

test('a report shows counts, quality, mistakes, odd labels, losses and the gate in one page without links or scripts', () => {
  const html = renderReport(report)
  for (const shown of [
    '<svg></svg>',
    'aria-label="a &quot;curve&quot;"',
    'two &amp; more',
    'all (5 rows)',
    'train (3)',
    '<td>1.5</td>',
    '<td>2.5</td><td>62.5 %</td>',
    '<td>cat</td><td>dog</td>',
    '<td>row &lt;7&gt;</td><td>4.25</td><td>cat 0.10 (given 0.75)</td><td>dog 0.91</td>',
    '<td>cat</td><td>21</td><td>3</td><td>2</td>',
    '<td>dog</td><td>1</td><td>too few</td>',
    '<td>row-9</td><td>cat</td><td>1</td><td>0.013</td>',
    'Quality on dev',
    '0.2500',
    'kept',
    'Gate not passed',
  ]) {
    assert.ok(html.includes(shown), shown)
  }
  assert.doesNotMatch(html, /<script|https?:|src=/)
})

test('label names and warnings cannot become markup', () => {
  const html = renderReport(report)
  assert.ok(html.includes('&lt;script&gt;alert(1)&lt;/script&gt;'))
  assert.ok(html.includes('&lt;b&gt;&quot;x&quot;&lt;/b&gt;'))
})
