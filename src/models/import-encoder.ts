import { resolve } from 'node:path'
import { encoderParameters, resolveWeights } from '../encoders/weights.ts'
import { readSafetensors } from '../formats/safetensors.ts'
import { weightsFile } from '../runtime/model-config.ts'
import { nameFirstVersion } from './champion.ts'
import { encoderFilesToImport, licenceMissing, ownManifest, readEncoderConfig, readFiles } from './importable.ts'
import { type ClassifierManifest, manifestFile } from './manifest.ts'
import { TextRunner, type TextRunnerOptions, defaultTextRunner } from './text-runner.ts'
import { type WrittenVersion, placeVersion } from './versions.ts'

export interface ImportEncoderOptions {
  readonly name: string
  readonly modelsFolder: string
  /** SPDX name; by default what the folder's manifest says, if it is one of this program. */
  readonly licence?: string | undefined
  /** What the card of a repository says, where neither `licence` nor a manifest does. */
  readonly cardLicence?: string | undefined
  readonly runner?: TextRunnerOptions
  /** Where the folder was fetched from. */
  readonly source?: ClassifierManifest['source']
}

/**
 * Takes the encoder of a folder that transformers or sentence-transformers saved as something to train from
 * (`retrain --base NAME`); a head that it has is not used. The files are copied as they are. The first version of a name is
 * what the name means.
 * Throws MODEL_UNSUPPORTED for another family or format, MODEL_CORRUPT for tensors that are missing or do not fit,
 * FILE_UNREADABLE, USAGE without a licence, and what inference throws: a text is tried before anything is written.
 */
export async function importEncoder(folder: string, options: ImportEncoderOptions): Promise<WrittenVersion> {
  const { name, modelsFolder, source } = options
  const place = resolve(folder)
  const files = await readFiles(place, encoderFilesToImport)
  const manifest = ownManifest(files.get(manifestFile), place)
  files.delete(manifestFile)
  const licence = options.licence ?? manifest?.licence ?? options.cardLicence
  if (licence === undefined) throw licenceMissing(place)
  const config = readEncoderConfig(new TextDecoder().decode(files.get('config.json')), place)
  const weights = readSafetensors(files.get(weightsFile) ?? new Uint8Array())
  resolveWeights(encoderParameters(config), weights, config)
  const runner = await TextRunner.start(
    { folder: place, fileDigests: {}, maxTokens: config.maxPositions },
    'embedding',
    options.runner ?? defaultTextRunner,
  )
  await runner.run(['Hello.']).finally(() => runner.close())

  const origin =
    source === undefined ? 'imported' : `${source.repository} at ${source.commit} of ${source.hub}`
  const written = await placeVersion(modelsFolder, name, {
    content: files,
    created: new Date(),
    manifestOf: (named) => ({ format: 1, kind: 'encoder', name, licence, origin, ...named }),
  })
  await nameFirstVersion(modelsFolder, name, written.version)
  return written
}
