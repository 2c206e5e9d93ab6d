import { join } from 'node:path'
import { LabelstreamError } from '../core/errors.ts'
import { retrain } from '../train/retrain.ts'
import { strategyNames } from '../train/strategies.ts'
import { type TeacherOptions, defaultTeacherWeight } from '../train/teachers.ts'
import type { CommandOption, CommandSpec, OptionValues } from './command.ts'
import { decisionOptionFlags, decisionOptionsOf } from './decision-options.ts'
import { evaluationTable } from './evaluate.ts'
import { modelsFolderOf } from './models-folder.ts'
import { announceVersion, int8Sentence, promoteOption } from './new-version.ts'
import { numberOption, optionalOption, requiredOption } from './output.ts'
import { withProgress } from './progress.ts'
import { readTrainingData, trainingDataOptions } from './recorded-data.ts'
import { labelledTextSettings, runnerOptionsOf } from './runner-options.ts'
import { choiceOption, hyperparameterOptions, hyperparametersOf } from './training-options.ts'

/** Beside the caches and not in the model folder: who gets the model is not to get texts. */
const labelNoiseFolder = join('.labelstream', 'label-noise')

const trainingOptions: readonly CommandOption[] = [
  ...trainingDataOptions,
  {
    flags: '--base <encoder>',
    help: 'encoder to start from: name, name@version or a folder',
    required: true,
  },
  { flags: '--name <name>', help: 'name of the model', required: true },
  { flags: '--strategy <name>', help: `what is trained: ${strategyNames.join(', ')}`, required: true },
  { flags: '--pooling <name>', help: 'how token vectors become one: mean (default), cls or pooler' },
  ...hyperparameterOptions,
  {
    flags: '--teacher <models>',
    help: "models trained before, separated by commas, whose scores the training part's targets are moved towards",
  },
  {
    flags: '--teacher-weight <share>',
    help: `how far known targets move to the teachers' scores (default ${defaultTeacherWeight}); unknown ones become them`,
  },
  ...decisionOptionFlags,
  {
    flags: '--check-int8',
    help: 'compare int8 with fp32 on the dev part; where it is good enough, auto serves it on CPUs',
  },
  {
    flags: '--label-noise',
    help: `also find given labels that look wrong, and write them with their texts below ${labelNoiseFolder}`,
  },
  promoteOption,
]

export const retrainCommand: CommandSpec = {
  name: 'retrain',
  summary: 'train a model from labelled texts and write it as a new version',
  options: trainingOptions,
  settings: labelledTextSettings,
  examples: [
    'labelstream retrain --data topic:labels --base minilm-l6 --name advice --strategy frozen-dense --promote',
    'labelstream retrain --data examples/advice/texts.jsonl --base minilm-l6 --name mine --strategy frozen-linear',
    'labelstream retrain --manifest models/mine/VERSION/manifest.json --base minilm-l6 --name mine --strategy full-linear',
  ],
  run: async (context, _positional, options) => {
    const { settings, log } = context
    const maxTokens = settings['text.maxTokens']
    const rows = await readTrainingData(context, options)
    const name = requiredOption(options, 'name')
    const pooling = choiceOption(options, 'pooling', ['mean', 'cls', 'pooler'])
    const teachers = teachersOf(options)
    const result = await withProgress(log, (update) =>
      retrain(
        {
          ...rows,
          base: requiredOption(options, 'base'),
          name,
          strategy: requiredOption(options, 'strategy'),
          modelsFolder: modelsFolderOf(settings),
          cacheFolder: join('.labelstream', 'cache'),
          ...(maxTokens === 0 ? {} : { maxTokens }),
          hyperparameters: hyperparametersOf(options),
          decision: decisionOptionsOf(options),
          ...(pooling === undefined ? {} : { pooling }),
          ...(teachers === undefined ? {} : { teachers }),
          promote: options.promote === true,
          checkInt8: options['checkInt8'] === true,
          ...(options['labelNoise'] === true ? { labelNoiseFolder } : {}),
          runner: runnerOptionsOf(settings, log),
          signal: context.interrupted,
        },
        update,
      ),
    )
    for (const warning of result.warnings) log.warn(warning)
    context.printJson(result)
    context.print(evaluationTable({ ...result.metrics, threshold: 'tuned on dev' }))
    if (result.int8Check !== undefined) context.print(`\n${int8Sentence(result.int8Check)}`)
    if (result.labelNoise !== undefined) {
      const { disagreements, file } = result.labelNoise
      context.print(`\n${disagreements} given labels look wrong: ${file}`)
    }
    announceVersion(context, name, result)
  },
}

function teachersOf(options: OptionValues): TeacherOptions | undefined {
  const models = optionalOption(options, 'teacher')
  const weight = numberOption(options, 'teacherWeight', { min: 0, max: 1 })
  if (models !== undefined) {
    return { models: models.split(',').map((name) => name.trim()), weight: weight ?? defaultTeacherWeight }
  }
  if (weight === undefined) return undefined
  throw new LabelstreamError('USAGE', '--teacher-weight: there is no --teacher')
}
