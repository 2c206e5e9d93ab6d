import { openModel } from '../models/folder.ts'
import { type Evaluation, evaluate } from '../train/evaluate.ts'
import type { CommandSpec } from './command.ts'
import { modelsFolderOf } from './models-folder.ts'
import { numberOption, optionalOption, table } from './output.ts'
import { withProgress } from './progress.ts'
import { evaluationDataOptions, readEvaluationData } from './recorded-data.ts'
import { oneProcessSettings, runnerOptionsOf } from './runner-options.ts'

export const evaluateCommand: CommandSpec = {
  name: 'evaluate',
  summary: 'measure a model on labelled texts',
  options: [
    ...evaluationDataOptions,
    { flags: '--threshold <number>', help: "one threshold for every label instead of the model's own" },
    { flags: '--predictions <file>', help: 'write one {"id", "scores", "labels"} a row to this JSONL file' },
  ],
  settings: [
    'model',
    'models.folder',
    'labels.absent',
    'text.',
    ...oneProcessSettings,
    'batch.budgetTokens',
    'kafka.',
  ],
  examples: [
    'labelstream evaluate --model advice --data held-out.jsonl',
    'labelstream evaluate --model advice --manifest models/advice/VERSION/manifest.json --part dev',
  ],
  run: async (context, _positional, options) => {
    const threshold = numberOption(options, 'threshold', { min: 0, max: 1 }) ?? 'tuned'
    const predictionsPath = optionalOption(options, 'predictions')
    const model = await openModel(context.settings.model, modelsFolderOf(context.settings))
    const data = await readEvaluationData(context, options)
    const evaluation = await withProgress(context.log, (update) =>
      evaluate(model, data, {
        threshold,
        ...(predictionsPath === undefined ? {} : { predictionsPath }),
        runner: runnerOptionsOf(context.settings, context.log),
        onProgress: (done, total) => {
          update({ phase: 'score', done, total })
        },
      }),
    )
    context.printJson({
      model: { name: model.name, version: model.version, digest: model.digest },
      ...evaluation,
    })
    context.print(evaluationTable(evaluation))
  },
}

const shown = (value: number): string => value.toFixed(3)

/** The figures over all labels, then one row a label. */
export function evaluationTable(evaluation: Evaluation): string {
  const overall = [
    ['rows', String(evaluation.rows)],
    ['threshold', evaluation.threshold],
    ['macro-F1', shown(evaluation.macroF1)],
    ['micro-F1', shown(evaluation.microF1)],
    ['samples-F1', shown(evaluation.samplesF1)],
    ['exact match', shown(evaluation.exactMatch)],
    ['Hamming loss', shown(evaluation.hammingLoss)],
    ['mean average precision', shown(evaluation.meanAveragePrecision)],
    ['expected calibration error', shown(evaluation.expectedCalibrationError)],
  ]
  const perLabel = Object.entries(evaluation.perLabel).map(([label, row]) => [
    label,
    shown(row.precision),
    shown(row.recall),
    shown(row.f1),
    row.support,
    shown(row.threshold),
  ])
  const labels = table(['Label', 'Precision', 'Recall', 'F1', 'Support', 'Threshold'], perLabel)
  return `${table(['Figure', 'Value'], overall)}\n\n${labels}`
}
