import { importModel } from '../models/import.ts'
import { goldenTexts } from '../models/golden.ts'
import { LabelstreamError } from '../core/errors.ts'
import type { CommandOption, CommandSpec } from './command.ts'
import { modelsFolderOf } from './models-folder.ts'
import { numberOption, optionalOption, requiredOption } from './output.ts'

export const thresholdOption: CommandOption = {
  flags: '--threshold <number>',
  help: 'score from which a label is decided, uncalibrated (default: as its decision.json says, else 0.5)',
}

export const modelsImport: CommandSpec = {
  name: 'models import',
  summary: 'take a multi-label classifier that transformers saved, or an exported version, as a new version',
  arguments: '<folder>',
  options: [
    { flags: '--name <name>', help: 'name of the model', required: true },
    { flags: '--licence <spdx>', help: "SPDX name of the model's licence, where the folder does not say it" },
    thresholdOption,
  ],
  settings: ['models.folder'],
  run: async (context, [folder], options) => {
    if (folder === undefined) throw new LabelstreamError('USAGE', 'the folder is missing')
    const threshold = numberOption(options, 'threshold', { min: 0, max: 1 })
    const name = requiredOption(options, 'name')
    const imported = await importModel(folder, {
      name,
      modelsFolder: modelsFolderOf(context.settings),
      licence: optionalOption(options, 'licence'),
      threshold,
      goldenTexts,
    })
    context.printJson({ name, ...imported })
    context.print(
      `${name}@${imported.version}: ${imported.path}\nserve it: labelstream models promote ${name}@${imported.version}`,
    )
  },
}
