import { readSecret } from '../core/files.ts'
import { goldenTexts } from '../models/golden.ts'
import { Hub, parseRepository } from '../models/hub.ts'
import { pullModel } from '../models/pull.ts'
import type { CommandContext, CommandSpec } from './command.ts'
import { modelsFolderOf } from './models-folder.ts'
import { encoderOption, importChoices, nextStep, thresholdOption } from './models-import.ts'
import { onlyArgument, optionalOption, requiredOption } from './output.ts'
import { withProgress } from './progress.ts'

export const modelsPull: CommandSpec = {
  name: 'models pull',
  summary: 'fetch a multi-label classifier, or an encoder to train from, from a model hub as a new version',
  arguments: '<repository[@revision]>',
  options: [
    { flags: '--name <name>', help: 'name of the model', required: true },
    {
      flags: '--licence <spdx>',
      help: "SPDX name of the model's licence (default: as the repository's card says)",
    },
    thresholdOption,
    encoderOption,
  ],
  settings: ['models.folder', 'models.hubUrl', 'models.hubTokenFile'],
  examples: [
    'labelstream models pull owner/name --name mine',
    'labelstream models pull FacebookAI/roberta-base --name roberta-base --encoder',
    'labelstream models pull owner/name@v1.2 --name mine --models-hub-token-file ./token',
  ],
  run: async (context, positional, options) => {
    const place = onlyArgument(positional, 'the repository')
    const repository = parseRepository(place)
    const { encoder, threshold } = importChoices(options)
    const name = requiredOption(options, 'name')
    const hub = hubOf(context)
    const pulled = await withProgress(context.log, (update) =>
      pullModel(hub, repository, {
        name,
        modelsFolder: modelsFolderOf(context.settings),
        licence: optionalOption(options, 'licence'),
        threshold,
        encoder,
        goldenTexts,
        onProgress: ({ file, bytes, total }) => {
          update({ phase: 'fetch', done: bytes, total, detail: file })
        },
      }),
    )
    context.printJson({ name, ...pulled })
    const { source, version, path } = pulled
    context.print(`${source.repository} at ${source.commit} of ${source.hub}`)
    context.print(`${name}@${version}: ${path}\n${nextStep(name, version, encoder)}`)
  },
}

/** The hub that the settings name. Throws SETTING_INVALID, FILE_UNREADABLE. */
function hubOf({ settings, interrupted }: CommandContext): Hub {
  const tokenFile = settings['models.hubTokenFile']
  return new Hub({
    url: settings['models.hubUrl'],
    signal: interrupted,
    ...(tokenFile === '' ? {} : { token: readSecret('models.hubTokenFile', tokenFile) }),
  })
}
