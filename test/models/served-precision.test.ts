import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainDecision } from '../../src/models/decision.ts'
import { openModel } from '../../src/models/folder.ts'
import { autoPrecisionOnCpu, decisionFor, int8DecisionFile } from '../../src/models/served-precision.ts'
import { writeVersion } from '../../src/models/versions.ts'
import { temporaryFolder } from '../support/model-folder.ts'

const labels = ['a', 'b']
const int8Decision = { ...plainDecision(labels, 0.4), precision: 'int8' as const }
const check = {
  rows: 100,
  meanScoreDifference: 0.002,
  maxScoreDifference: 0.2,
  macroF1: 0.6,
  macroF1Difference: -0.001,
}

async function written(
  details: { int8Check?: typeof check & { passed: boolean } },
  files: Record<string, string> = {},
): Promise<string> {
  const version = await writeVersion(await temporaryFolder(), {
    details: {
      name: 'tiny',
      licence: 'Apache-2.0',
      maxTokens: 16,
      strategy: 'frozen-linear',
      hyperparameters: {},
      metrics: {},
      golden: [],
      ...details,
    },
    decision: plainDecision(labels),
    files: new Map([
      ['config.json', JSON.stringify({ id2label: { 0: 'a', 1: 'b' } })],
      ['model.safetensors', 'weights'],
      ...Object.entries(files),
    ]),
    created: new Date('2026-11-23T10:00:00Z'),
  })
  return version.path
}

test('a version without a check is served in fp32 by itself, with one decision for every precision', async () => {
  const model = await openModel(await written({}), '/nowhere')
  assert.equal(autoPrecisionOnCpu(model.manifest), 'fp32')
  assert.equal(decisionFor(model, 'int8'), model.decision)
})

test('a passed check lets auto serve int8, a failed one does not', async () => {
  for (const passed of [true, false]) {
    const model = await openModel(await written({ int8Check: { ...check, passed } }), '/nowhere')
    assert.equal(autoPrecisionOnCpu(model.manifest), passed ? 'int8' : 'fp32')
  }
})

test('a version can bring thresholds of its own for int8', async () => {
  const path = await written({}, { [int8DecisionFile]: JSON.stringify(int8Decision) })
  const model = await openModel(path, '/nowhere')
  assert.equal(decisionFor(model, 'int8').labels[0]?.threshold, 0.4)
  assert.equal(decisionFor(model, 'fp32').labels[0]?.threshold, 0.5)
})

test('an int8 decision for another precision or other labels is refused by its file name', async () => {
  const swapped = { ...int8Decision, labels: int8Decision.labels.toReversed() }
  for (const wrong of [plainDecision(labels), swapped]) {
    const path = await written({}, { [int8DecisionFile]: JSON.stringify(wrong) })
    await assert.rejects(openModel(path, '/nowhere'), { code: 'MODEL_CORRUPT', message: /decision\.int8\.json/ })
  }
})
