import { LabelstreamError } from '../core/errors.ts'
import { promote, rollback } from '../models/champion.ts'
import { openModel, resolveReference } from '../models/folder.ts'
import { parseReference } from '../models/names.ts'
import { listModels } from '../models/versions.ts'
import { verifyFolder } from '../models/verify.ts'
import type { CommandSpec } from './command.ts'
import { modelsFolderOf } from './models-folder.ts'
import { onlyArgument, table } from './output.ts'

const settings = ['models.folder'] as const

export const modelsList: CommandSpec = {
  name: 'models list',
  summary: 'every model with its versions',
  settings,
  run: async (context) => {
    const folder = modelsFolderOf(context.settings)
    const models = await listModels(folder)
    context.printJson({ folder, models })
    const rows = models.flatMap(({ name, versions }) =>
      versions.map((version) => [
        name,
        version.version,
        version.champion ? 'champion' : '',
        version.strategy,
        version.created.slice(0, 10),
        version.digest.slice(0, 12),
      ]),
    )
    context.print(table(['Model', 'Version', '', 'Strategy', 'Created', 'Digest'], rows))
  },
}

export const modelsShow: CommandSpec = {
  name: 'models show',
  summary: 'one model version: labels, thresholds, training, metrics',
  arguments: '<model>',
  settings,
  run: async (context, positional) => {
    const model = await openModel(onlyArgument(positional, 'the model'), modelsFolderOf(context.settings))
    const { folder, name, version, digest, maxTokens, decision, manifest } = model
    context.printJson({ folder, name, version, digest, maxTokens, decision, manifest })
    context.print(
      table(
        ['', ''],
        [
          ['model', `${name}@${version}`],
          ['folder', folder],
          ['digest', digest],
          ['strategy', manifest.strategy],
          ['base', manifest.base?.name ?? ''],
          ['longest window', `${maxTokens} tokens`],
          ['licence', manifest.licence],
        ],
      ),
    )
    const rows = decision.labels.map(({ label, threshold }) => [label, threshold.toFixed(3)])
    context.print(`\n${table(['Label', 'Threshold'], rows)}`)
  },
}

export const modelsVerify: CommandSpec = {
  name: 'models verify',
  summary: "compare every file of a model with its manifest's digests",
  arguments: '<model>',
  settings,
  run: async (context, positional) => {
    const folder = await resolveReference(
      onlyArgument(positional, 'the model'),
      modelsFolderOf(context.settings),
    )
    const { manifest, digest, unknownFiles } = await verifyFolder(folder)
    const { name, version } = manifest
    context.printJson({
      name,
      version,
      digest,
      path: folder,
      files: Object.keys(manifest.files).length,
      unknownFiles,
    })
    context.print(
      `${name}@${version}: all ${Object.keys(manifest.files).length} files are as the manifest says`,
    )
    if (unknownFiles.length > 0) context.print(`not in the manifest, never read: ${unknownFiles.join(', ')}`)
  },
}

export const modelsPromote: CommandSpec = {
  name: 'models promote',
  summary: 'make a version the champion that `run` serves',
  arguments: '<name@version>',
  settings,
  run: async (context, positional) => {
    const reference = parseReference(onlyArgument(positional, 'name@version'))
    if (reference.kind !== 'named' || reference.version === undefined) {
      throw new LabelstreamError(
        'USAGE',
        'say which version: name@version (`labelstream models list` names them)',
      )
    }
    await promote(modelsFolderOf(context.settings), reference.name, reference.version)
    context.printJson({ name: reference.name, champion: reference.version })
    context.print(`${reference.name}: the champion is ${reference.version}`)
  },
}

export const modelsRollback: CommandSpec = {
  name: 'models rollback',
  summary: 'make the previous champion the champion again',
  arguments: '<name>',
  settings,
  run: async (context, positional) => {
    const name = onlyArgument(positional, 'the name')
    const champion = await rollback(modelsFolderOf(context.settings), name)
    context.printJson({ name, champion })
    context.print(`${name}: the champion is ${champion} again`)
  },
}
