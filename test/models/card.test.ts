import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ModelDetails, renderCard } from '../../src/models/card.ts'
import type { Decision } from '../../src/models/decision.ts'

const label = (name: string, pooled = false): Decision['labels'][number] => ({
  label: name,
  threshold: 0.5,
  pooled,
  calibrator: { slope: 1, intercept: 0 },
})
const decision: Decision = {
  format: 1,
  precision: 'fp32',
  calibration: 'none',
  thresholdPolicy: 'fixed at 0.5',
  labels: [label('often'), label('rarely', true)],
}
const measured = (support: number) => ({ precision: 0.75, recall: 0.5, f1: 0.6, support, threshold: 0.5 })
const details: ModelDetails = {
  name: 'mine',
  licence: 'Apache-2.0',
  maxTokens: 128,
  strategy: 'full-linear',
  hyperparameters: {},
  metrics: {
    dev: { macroF1: 0.7, perLabel: { often: measured(300), rarely: measured(30) } },
    test: { macroF1: 0.6, perLabel: { often: measured(200), rarely: measured(19) } },
  },
  golden: [],
}

test('a card has the figures of each label where nothing was chosen, and says which of them are rough', () => {
  const card = renderCard(details, decision, 'd')
  assert.match(card, /\| label \| threshold \| positives in test \| precision \| recall \| f1 \|/)
  assert.match(card, /\| often \| 0\.500 \| 200 \| 0\.750 \| 0\.500 \| 0\.600 \|/)
  assert.match(card, /## Limits[^]*first 128 tokens[^]*Fewer than 20 positives in test[^:]*: rarely\.\n/)
})

test('without a held-out part dev is shown, and without any figures labels alone', () => {
  const { dev } = details.metrics
  assert.match(renderCard({ ...details, metrics: { dev } }, decision, 'd'), /positives in dev/)
  const bare = renderCard({ ...details, metrics: {} }, decision, 'd')
  assert.match(bare, /\| label \| threshold \| \|\n\|---\|---\|---\|\n\| often \| 0\.500 \| {2}\|/)
  assert.doesNotMatch(bare, /positives in/)
})
