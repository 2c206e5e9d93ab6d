import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openModel } from '../../src/models/folder.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import type { LabeledTexts } from '../../src/train/dataset.ts'
import { defaultDecisionOptions } from '../../src/train/decision-fit.ts'
import { evaluate } from '../../src/train/evaluate.ts'
import { retrain } from '../../src/train/retrain.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { writeTinyEncoder } from '../support/tiny-encoder.ts'

const things = ['chair', 'table', 'lamp', 'door', 'box', 'bag', 'cup', 'book', 'shoe', 'clock']

/** Colours come first or last: where the text has several windows, the first one says only half of it. */
const labelled = (source: string, things: readonly string[]): LabeledTexts => ({
  source,
  texts: things.flatMap((thing) =>
    [
      [`a red ${thing}`, 'colour'],
      [`the ${thing} in the garden`, 'place'],
      [`the ${thing} in the garden and in the office and a red ${thing} and a blue ${thing}`, 'colour'],
      [`a blue ${thing} and the ${thing} in the office`, 'place'],
    ].map(([text = '', label = '']) => ({
      id: text,
      text,
      labels: new Map([[label, 1]]),
      absent: 'negative' as const,
    })),
  ),
})

for (const strategy of ['frozen-linear', 'full-linear', 'per-label']) {
  test(`${strategy}: dev figures and thresholds of long texts are those of serving all their windows`, async () => {
    const folder = await temporaryFolder()
    const modelsFolder = join(folder, 'models')
    const dev = labelled('dev', things.slice(4))
    const runner = { ...defaultTextRunner, threads: 1 }
    const { path, metrics, int8Check } = await retrain({
      data: labelled('train', things.slice(0, 4)),
      dev,
      base: await writeTinyEncoder(folder),
      name: 'things',
      strategy,
      modelsFolder,
      cacheFolder: join(folder, 'cache'),
      maxTokens: 8,
      hyperparameters: { epochs: 2, seed: 2 },
      // two epochs teach next to nothing: calibrated, every score would be the label's share
      decision: { ...defaultDecisionOptions, calibration: 'none' },
      promote: false,
      checkInt8: true,
      runner,
    })
    const model = await openModel(path, modelsFolder)
    const served = await evaluate(model, dev, { threshold: 'tuned', runner })
    const close = (a: number, b: number): boolean => Math.abs(a - b) < 1e-5
    assert.ok(close(served.expectedCalibrationError, metrics.expectedCalibrationError))
    assert.ok(close(served.meanAveragePrecision, metrics.meanAveragePrecision))
    assert.deepEqual(served.perLabel, metrics.perLabel)
    // the same fp32 scores on both sides: int8 of one window beside fp32 of all would be far off
    assert.ok(
      int8Check !== undefined && int8Check.maxScoreDifference < 0.2,
      String(int8Check?.maxScoreDifference),
    )
    const firstWindows = await evaluate(model, dev, {
      threshold: 'tuned',
      runner: { ...runner, maxWindows: 1 },
    })
    assert.ok(!close(firstWindows.expectedCalibrationError, metrics.expectedCalibrationError))
  })
}
