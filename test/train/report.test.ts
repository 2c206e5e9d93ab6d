import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matrix } from '../../src/evaluation/matrix.ts'
import { evaluateScores } from '../../src/evaluation/metrics.ts'
import { renderReport } from '../../src/train/report.ts'

const report = {
  title: 'things',
  facts: [['data', 'rows.jsonl']] as const,
  warnings: ['label <b>"x"</b> has no positive in the dev part'],
  parts: [{ part: 'train', rows: 3, positives: Float64Array.of(1.5) }],
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
}

test('a report shows counts, quality, losses and the gate in one page without links or scripts', () => {
  const html = renderReport(report)
  for (const shown of [
    '<svg></svg>',
    'aria-label="a &quot;curve&quot;"',
    'two &amp; more',
    'train (3 rows)',
    '1.5',
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
