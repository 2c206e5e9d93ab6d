import { LabelstreamError } from '../core/errors.ts'
import { openModel } from '../models/folder.ts'
import { recalibrate } from '../train/recalibrate.ts'
import type { CommandSpec } from './command.ts'
import { decisionOptionFlags, decisionOptionsOf } from './decision-options.ts'
import { evaluationTable, int8Sentence } from './evaluate.ts'
import { modelsFolderOf } from './models-folder.ts'
import { ProgressBar } from './progress.ts'
import { evaluationDataOptions, readEvaluationData } from './recorded-data.ts'
import { oneProcessSettings, runnerOptionsOf } from './runner-options.ts'

export const modelsCalibrate: CommandSpec = {
  name: 'models calibrate',
  summary: 'fit calibrators and thresholds anew on labelled texts: a new version with the same weights',
  arguments: '<model>',
  options: [
    ...evaluationDataOptions,
    ...decisionOptionFlags,
    {
      flags: '--check-int8',
      help: 'compare int8 with fp32; where it is good enough, auto serves it on CPUs (default where the model was compared before)',
    },
    { flags: '--promote', help: 'make the version champion when the gate lets it through' },
  ],
  settings: [
    'models.folder',
    'labels.absent',
    'text.threads',
    'text.maxWindows',
    'text.strideTokens',
    ...oneProcessSettings,
    'batch.budgetTokens',
    'kafka.',
  ],
  examples: [
    'labelstream models calibrate pulled --data topic:labels --check-int8 --promote',
    'labelstream models calibrate advice --data held-out.jsonl --thresholds precision=0.9',
    'labelstream models calibrate mine --manifest models/mine/VERSION/manifest.json --part dev',
  ],
  run: async (context, [reference], options) => {
    if (reference === undefined) throw new LabelstreamError('USAGE', 'the model is missing')
    const { settings, log } = context
    const modelsFolder = modelsFolderOf(settings)
    const model = await openModel(reference, modelsFolder)
    const data = await readEvaluationData(context, options)
    const bar = new ProgressBar(log)
    const result = await recalibrate(
      {
        model,
        data,
        modelsFolder,
        decision: decisionOptionsOf(options),
        ...(options['checkInt8'] === true ? { checkInt8: true } : {}),
        promote: options['promote'] === true,
        runner: runnerOptionsOf(settings, log),
        signal: context.interrupted,
      },
      (progress) => {
        bar.update(progress)
      },
    ).finally(() => {
      bar.close()
    })
    const { gate, metrics, before } = result
    context.printJson(result)
    context.print(evaluationTable({ ...metrics, threshold: 'held-out folds' }))
    context.print(`\nmacro-F1 ${metrics.macroF1.toFixed(3)}, ${before.macroF1.toFixed(3)} before`)
    if (result.int8Check !== undefined) context.print(int8Sentence(result.int8Check))
    context.print(
      `${model.name}@${result.version}${result.promoted ? ' is the champion now' : ''}: ${result.path}`,
    )
    if (!gate.passed) throw new LabelstreamError('GATE_REFUSED', gate.reasons.join('; '))
  },
}
