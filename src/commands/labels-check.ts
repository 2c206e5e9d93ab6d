import { join } from 'node:path'
import { checkLabels } from '../train/check-labels.ts'
import { disagreementHeader, disagreementRows, noiseHeader, noiseRows } from '../train/label-noise.ts'
import type { CommandSpec } from './command.ts'
import { dataOptionHelp, readLabeledData } from './labeled-data.ts'
import { modelsFolderOf } from './models-folder.ts'
import { optionalOption, requiredOption, table } from './output.ts'
import { withProgress } from './progress.ts'
import { labelledTextSettings, runnerOptionsOf } from './runner-options.ts'

const defaultFile = join('.labelstream', 'label-noise.jsonl')
const shownDisagreements = 10

export const labelsCheck: CommandSpec = {
  name: 'labels check',
  summary: 'find given labels that look wrong: missing ones and wrongly given ones',
  options: [
    { flags: '--data <source>', help: dataOptionHelp, required: true },
    { flags: '--base <encoder>', help: 'encoder to see the texts through (default: minilm-l6)' },
    { flags: '--out <file>', help: `write what is found here, with texts (default: ${defaultFile})` },
  ],
  settings: labelledTextSettings,
  examples: [
    'labelstream labels check --data examples/advice/texts.jsonl',
    'labelstream labels check --data topic:labels --out wrong-labels.jsonl',
  ],
  run: async (context, _positional, options) => {
    const { settings, log } = context
    const maxTokens = settings['text.maxTokens']
    const data = await readLabeledData(context, requiredOption(options, 'data'))
    const { summary, report } = await withProgress(log, (update) =>
      checkLabels(
        data,
        {
          base: optionalOption(options, 'base') ?? 'minilm-l6',
          modelsFolder: modelsFolderOf(settings),
          cacheFolder: join('.labelstream', 'cache'),
          ...(maxTokens === 0 ? {} : { maxTokens }),
          file: optionalOption(options, 'out') ?? defaultFile,
          runner: runnerOptionsOf(settings, log),
          signal: context.interrupted,
        },
        update,
      ),
    )
    context.printJson(summary)
    context.print(table(noiseHeader, noiseRows(report)))
    if (report.disagreements.length > 0) {
      context.print(`\n${table(disagreementHeader, disagreementRows(report, shownDisagreements))}`)
    }
    context.print(`\n${summary.disagreements} given labels look wrong: ${summary.file}`)
  },
}
