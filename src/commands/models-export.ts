import { resolve } from 'node:path'
import { LabelstreamError } from '../core/errors.ts'
import { exportFormats, exportModel, exportPrecisions } from '../models/export.ts'
import { openModel } from '../models/folder.ts'
import { autoPrecisionOnCpu } from '../models/served-precision.ts'
import type { CommandSpec } from './command.ts'
import { modelsFolderOf } from './models-folder.ts'
import { onlyArgument, requiredOption, table } from './output.ts'
import { choiceOption } from './training-options.ts'

export const modelsExport: CommandSpec = {
  name: 'models export',
  summary: 'write a model version to a folder for other programs, as ONNX or in Hugging Face layout',
  arguments: '<model>',
  options: [
    { flags: '--out <folder>', help: 'new or empty folder to write to', required: true },
    {
      flags: '--format <format>',
      help: 'onnx (default): one model.onnx with tokenizer, labels and decisions; hugging-face: the version as it is',
    },
    { flags: '--precision <precision>', help: 'of model.onnx: fp32 (default) or int8' },
  ],
  settings: ['models.folder'],
  examples: [
    'labelstream models export advice --out exported',
    'labelstream models export advice --out exported --precision int8',
    'labelstream models export advice --out to-upload --format hugging-face',
  ],
  run: async (context, positional, options) => {
    const reference = onlyArgument(positional, 'the model')
    const path = resolve(requiredOption(options, 'out'))
    const format = choiceOption(options, 'format', exportFormats) ?? 'onnx'
    const wanted = choiceOption(options, 'precision', exportPrecisions)
    if (format !== 'onnx' && wanted !== undefined) {
      throw new LabelstreamError(
        'USAGE',
        '--precision is for --format onnx: the other holds the weights as they are',
      )
    }
    const model = await openModel(reference, modelsFolderOf(context.settings))
    const { name, version, digest } = model
    if (wanted === 'int8' && autoPrecisionOnCpu(model.manifest) !== 'int8') {
      context.log.warn(`int8 scores of ${name}@${version} were not compared with fp32 or differ too much`)
    }
    const { precision, files } = await exportModel(model, path, format, wanted)
    context.printJson({ model: { name, version, digest }, format, precision, path, files })
    context.print(`${name}@${version} -> ${path}\n`)
    context.print(
      table(
        ['File', 'Bytes', 'SHA-256'],
        files.map(({ name, bytes, sha256 }) => [name, bytes, sha256.slice(0, 12)]),
      ),
    )
  },
}
