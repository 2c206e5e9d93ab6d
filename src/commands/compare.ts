import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { compare } from '../train/compare.ts'
import { compareCells, compareHeader, renderComparison } from '../train/compare-page.ts'
import { strategyNames } from '../train/strategies.ts'
import type { CommandSpec } from './command.ts'
import { modelsFolderOf } from './models-folder.ts'
import { optionalOption, table } from './output.ts'
import { withProgress } from './progress.ts'
import { readTrainingData, trainingDataOptions } from './recorded-data.ts'
import { labelledTextSettings, runnerOptionsOf } from './runner-options.ts'
import { hyperparameterOptions, hyperparametersOf } from './training-options.ts'

/** Without per-label, which costs as many times as much as there are labels: only when it is asked for. */
const defaultStrategies = strategyNames.filter((name) => name !== 'per-label')

const defaultPage = join('.labelstream', 'compare.html')

export const compareCommand: CommandSpec = {
  name: 'compare',
  summary: 'train several strategies on the same rows and say which one to take',
  options: [
    ...trainingDataOptions,
    { flags: '--base <encoder>', help: 'encoder to start from (default: minilm-l6)' },
    {
      flags: '--strategies <names>',
      help: `separated by commas, of ${strategyNames.join(', ')} (default: all but per-label)`,
    },
    { flags: '--page <file>', help: `write the HTML page here (default: ${defaultPage})` },
    ...hyperparameterOptions,
  ],
  settings: labelledTextSettings,
  examples: ['labelstream compare --data texts.jsonl --strategies frozen-linear,frozen-dense,full-linear'],
  run: async (context, _positional, options) => {
    const { settings, log } = context
    const maxTokens = settings['text.maxTokens']
    const rows = await readTrainingData(context, options)
    const strategies = optionalOption(options, 'strategies')
      ?.split(',')
      .map((name) => name.trim())
    const comparison = await withProgress(log, (update) =>
      compare(
        {
          ...rows,
          base: optionalOption(options, 'base') ?? 'minilm-l6',
          strategies: strategies ?? defaultStrategies,
          modelsFolder: modelsFolderOf(settings),
          cacheFolder: join('.labelstream', 'cache'),
          ...(maxTokens === 0 ? {} : { maxTokens }),
          hyperparameters: hyperparametersOf(options),
          runner: runnerOptionsOf(settings, log),
          signal: context.interrupted,
        },
        (strategy, progress) => {
          update({ ...progress, phase: `${strategy} ${progress.phase}` })
        },
      ),
    )
    for (const warning of comparison.warnings) log.warn(warning)
    const page = optionalOption(options, 'page') ?? defaultPage
    await writePage(page, renderComparison(rows.data.source, comparison))
    context.printJson({ ...comparison, page })
    context.print(table(compareHeader, comparison.rows.map(compareCells)))
    context.print(`\nRecommended: ${comparison.recommended}. ${comparison.why}\n${page}`)
  },
}

async function writePage(path: string, page: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, page)
  } catch (error) {
    throw new LabelstreamError('FILE_UNREADABLE', `${path} cannot be written: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
