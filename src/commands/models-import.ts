import { importEncoder } from '../models/import-encoder.ts'
import { importModel } from '../models/import.ts'
import { goldenTexts } from '../models/golden.ts'
import { LabelstreamError } from '../core/errors.ts'
import type { CommandOption, CommandSpec, OptionValues } from './command.ts'
import { modelsFolderOf } from './models-folder.ts'
import { onlyArgument, numberOption, optionalOption, requiredOption } from './output.ts'

export const thresholdOption: CommandOption = {
  flags: '--threshold <number>',
  help: 'score from which a label is decided, uncalibrated (default: as its decision.json says, else 0.5)',
}

export const encoderOption: CommandOption = {
  flags: '--encoder',
  help: 'take the encoder alone, to train from: `retrain --base NAME`',
}

/** What to do next with what was taken. */
export const nextStep = (name: string, version: string, isEncoder: boolean): string =>
  isEncoder
    ? `train from it: labelstream retrain --base ${name}@${version}`
    : `serve it: labelstream models promote ${name}@${version}`

/** Throws USAGE where a threshold is given for an encoder, which decides nothing. */
export function importChoices(options: OptionValues): { encoder: boolean; threshold: number | undefined } {
  const encoder = options['encoder'] === true
  const threshold = numberOption(options, 'threshold', { min: 0, max: 1 })
  if (!encoder || threshold === undefined) return { encoder, threshold }
  throw new LabelstreamError('USAGE', '--threshold: an encoder decides nothing')
}

export const modelsImport: CommandSpec = {
  name: 'models import',
  summary:
    'take what transformers saved, or an exported version: a multi-label classifier, or an encoder to train from',
  arguments: '<folder>',
  options: [
    { flags: '--name <name>', help: 'name of the model', required: true },
    { flags: '--licence <spdx>', help: "SPDX name of the model's licence, where the folder does not say it" },
    thresholdOption,
    encoderOption,
  ],
  settings: ['models.folder'],
  run: async (context, positional, options) => {
    const folder = onlyArgument(positional, 'the folder')
    const { encoder, threshold } = importChoices(options)
    const name = requiredOption(options, 'name')
    const modelsFolder = modelsFolderOf(context.settings)
    const licence = optionalOption(options, 'licence')
    const imported = encoder
      ? await importEncoder(folder, { name, modelsFolder, licence })
      : await importModel(folder, { name, modelsFolder, licence, threshold, goldenTexts })
    context.printJson({ name, ...imported })
    const { version, path } = imported
    context.print(`${name}@${version}: ${path}\n${nextStep(name, version, encoder)}`)
  },
}
