import { resolve } from 'node:path'
import { LabelstreamError } from '../core/errors.ts'
import { modelParameters } from '../encoders/model.ts'
import { resolveWeights } from '../encoders/weights.ts'
import { readSafetensors } from '../formats/safetensors.ts'
import { weightsFile } from '../runtime/model-config.ts'
import { type Decision, parseDecision, plainDecision } from './decision.ts'
import { goldenOf } from './golden.ts'
import { filesToImport, licenceMissing, readClassifierConfig, readFiles, versionFiles } from './importable.ts'
import type { ClassifierManifest } from './manifest.ts'
import { decideAll } from './score-matrix.ts'
import { int8DecisionFile } from './served-precision.ts'
import { TextRunner, type TextRunnerOptions, defaultTextRunner } from './text-runner.ts'
import { codeOfVersion, transformersFile } from './transformers-code.ts'
import { type WrittenVersion, writeVersion } from './versions.ts'

export interface ImportOptions {
  readonly name: string
  readonly modelsFolder: string
  /** SPDX name of the model's licence; a folder of transformers does not say it, an exported version does. */
  readonly licence?: string | undefined
  /** What the card of a repository says, where neither `licence` nor a manifest does. */
  readonly cardLicence?: string | undefined
  /** Score from which a label is decided, uncalibrated; without it as decision.json says, or 0.5. */
  readonly threshold?: number | undefined
  /** Longest window in tokens; by default the version's, else the encoder's own limit. */
  readonly maxTokens?: number
  /** Texts whose scores are recorded, so that a served model can be checked. */
  readonly goldenTexts: readonly string[]
  readonly runner?: TextRunnerOptions
  /** Where the folder was fetched from. */
  readonly source?: ClassifierManifest['source']
}

/**
 * Takes a folder that transformers saved (`save_pretrained` of a sequence classifier with safetensors), one with
 * model.onnx as exporters write it, or one that `exportModel` wrote, as a new version. The files are copied as they are; an exported version keeps its decisions and
 * what its manifest says about it.
 * Throws MODEL_UNSUPPORTED for a model that has no labels or another format, MODEL_CORRUPT for tensors that are
 * missing or do not fit, FILE_UNREADABLE, USAGE without a licence.
 */
export async function importModel(folder: string, options: ImportOptions): Promise<WrittenVersion> {
  const place = resolve(folder)
  const { manifest, files: found } = versionFiles(await readFiles(place, filesToImport), place)
  const licence = options.licence ?? manifest?.licence ?? options.cardLicence
  if (licence === undefined) throw licenceMissing(place)
  const files = new Map(found)
  // our own, never a foreign one: transformers runs it
  const code = manifest?.files[transformersFile]
  if (code !== undefined) files.set(...(await codeOfVersion(place, code.sha256)))
  const config = readClassifierConfig(textOf(files, 'config.json'), [...files.keys()], place)
  const weights = files.get(weightsFile)
  // Every tensor is there and fits, before anything is written.
  if (weights !== undefined) resolveWeights(modelParameters(config, 'logits'), readSafetensors(weights), config)
  const longest = options.maxTokens ?? manifest?.maxTokens ?? config.maxPositions
  const maxTokens = Math.min(longest, config.maxPositions)
  const decision = decisionFrom(files, config.labels, options.threshold, place)
  const runner = await TextRunner.start(
    { folder: place, fileDigests: {}, maxTokens },
    'logits',
    // a graph is in the precision that it is in
    options.runner ?? { ...defaultTextRunner, precision: weights === undefined ? 'auto' : 'fp32' },
  )
  const { values } = await runner.run(options.goldenTexts).finally(() => runner.close())
  const { scores } = decideAll(decision, values)
  return writeVersion(options.modelsFolder, {
    details: {
      ...(manifest ?? { strategy: 'imported', hyperparameters: {}, metrics: {} }),
      name: options.name,
      licence,
      maxTokens,
      golden: goldenOf(config.labels, options.goldenTexts, scores),
      ...(options.source === undefined ? {} : { source: options.source }),
    },
    decision,
    files,
    created: new Date(),
  })
}

/** The folder's own decisions, unless one threshold is asked for. Takes what is decided anew out of `files`. */
function decisionFrom(
  files: Map<string, Uint8Array>,
  labels: readonly string[],
  threshold: number | undefined,
  place: string,
): Decision {
  const text = textOf(files, 'decision.json')
  files.delete('decision.json')
  if (threshold !== undefined || text === '') {
    files.delete(int8DecisionFile)
    return plainDecision(labels, threshold)
  }
  const path = `${place}/decision.json`
  const decision = parseDecision(text, path)
  const same =
    decision.labels.length === labels.length && decision.labels.every(({ label }, at) => label === labels[at])
  if (same) return decision
  throw new LabelstreamError('MODEL_CORRUPT', `${path} has other labels than config.json, or in another order`)
}

const textOf = (files: ReadonlyMap<string, Uint8Array>, file: string): string =>
  new TextDecoder().decode(files.get(file))
