import { LabelstreamError } from '../core/errors.ts'
import type { LabelScores } from '../formats/scores.ts'
import { type Model, openModel } from '../models/folder.ts'
import { isName } from '../models/names.ts'
import { Serving } from '../stream/serving.ts'
import type { Settings } from '../settings/catalogue.ts'
import type { CommandContext } from './command.ts'
import { modelsFolderOf } from './models-folder.ts'
import { servingOptionsOf } from './serving-options.ts'

type NamedModel = LabelScores['model']

/**
 * Starts the version that an event names, in its precision, which is one that `scoreBound` knows: from the models
 * folder, or the one that the setting `model` names. Throws MODEL_NOT_FOUND when neither has its digest, and what
 * starting it throws.
 */
export async function startNamedModel(
  { settings, log }: CommandContext,
  named: NamedModel,
): Promise<Serving> {
  const model = await openNamed(settings, named)
  const options = servingOptionsOf(settings, log)
  const precision = named.precision as typeof options.precision
  // int8 was on a CPU, wherever other precisions are computed here
  const provider = precision === 'int8' ? 'cpu' : options.provider
  return Serving.start(model, { ...options, precision, provider })
}

async function openNamed(settings: Settings, { name, version, digest }: NamedModel): Promise<Model> {
  const folder = modelsFolderOf(settings)
  const references =
    isName(name) && isName(version) ? [`${name}@${version}`, settings.model] : [settings.model]
  const reasons: string[] = []
  for (const reference of references) {
    try {
      const model = await openModel(reference, folder)
      if (model.name === name && model.version === version && model.digest === digest) return model
      const other = model.digest === digest ? 'is another version' : 'has another digest'
      reasons.push(`${model.folder} ${other}`)
    } catch (error) {
      if (!(error instanceof LabelstreamError) || error.disposition !== 'refuse') throw error
      reasons.push(error.message)
    }
  }
  throw new LabelstreamError('MODEL_NOT_FOUND', reasons[0] ?? `there is no model ${name}`)
}
