import { openModel } from '../models/folder.ts'
import { recalibrate } from '../train/recalibrate.ts'
import type { CommandSpec } from './command.ts'
import { decisionOptionFlags, decisionOptionsOf } from './decision-options.ts'
import { evaluationTable } from './evaluate.ts'
import { modelsFolderOf } from './models-folder.ts'
import { announceVersion, int8Sentence, promoteOption } from './new-version.ts'
import { onlyArgument } from './output.ts'
import { withProgress } from './progress.ts'
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
    promoteOption,
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
  run: async (context, positional, options) => {
    const reference = onlyArgument(positional, 'the model')
    const { settings, log } = context
    const modelsFolder = modelsFolderOf(settings)
    const model = await openModel(reference, modelsFolder)
    const data = await readEvaluationData(context, options)
    const result = await withProgress(log, (update) =>
      recalibrate(
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
        update,
      ),
    )
    const { metrics, before } = result
    context.printJson(result)
    context.print(evaluationTable({ ...metrics, threshold: 'held-out folds' }))
    context.print(`\nmacro-F1 ${metrics.macroF1.toFixed(3)}, ${before.macroF1.toFixed(3)} before`)
    if (result.int8Check !== undefined) context.print(int8Sentence(result.int8Check))
    announceVersion(context, model.name, result)
  },
}
