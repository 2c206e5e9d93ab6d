import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../core/digest.ts'
import { LabelstreamError } from '../core/errors.ts'
import { activationRangesFile } from '../encoders/activation-ranges.ts'
import { type ModelConfig, readModelConfig } from '../encoders/config.ts'
import { readGraphConfig } from '../encoders/graph-config.ts'
import { storedGraphFile, weightsFile } from '../runtime/model-config.ts'
import { type ClassifierManifest, type Manifest, manifestFile, parseManifest } from './manifest.ts'
import { int8DecisionFile } from './served-precision.ts'
import { tokenizerFileNames } from './tokenizer-files.ts'

/** The first of them that a folder has is its model: weights to build graphs from, or a graph that is served as it is. */
const modelFiles: readonly string[] = [weightsFile, storedGraphFile]
const needed: readonly string[] = ['config.json', 'tokenizer.json']
const alsoRead: readonly string[] = [
  ...tokenizerFileNames,
  'decision.json',
  manifestFile,
  // only as parts of a version of this program: its manifest names them
  int8DecisionFile,
  activationRangesFile,
]

/**
 * The files of a classifier's folder that an import takes, of those `present`; nothing else of it is read, and nothing
 * that could run. Throws MODEL_UNSUPPORTED naming `place` and what is missing.
 */
export function filesToImport(present: readonly string[], place: string): string[] {
  requireFiles(needed, present, place)
  const model = modelFiles.find((file) => present.includes(file))
  if (model === undefined) {
    throw lacks(place, `${weightsFile}: save it with save_pretrained(…, safe_serialization=True), or as ${storedGraphFile}`)
  }
  return [...new Set([...needed, ...alsoRead])].filter((file) => present.includes(file)).concat(model)
}

/**
 * The files of an encoder's folder that an import takes, of those `present`. Throws MODEL_UNSUPPORTED naming `place` and what
 * is missing: only weights can be trained.
 */
export function encoderFilesToImport(present: readonly string[], place: string): string[] {
  requireFiles([...needed, weightsFile], present, place)
  const taken = [...needed, ...tokenizerFileNames, manifestFile, weightsFile]
  return [...new Set(taken)].filter((file) => present.includes(file))
}

const lacks = (place: string, what: string): LabelstreamError =>
  new LabelstreamError('MODEL_UNSUPPORTED', `${place} has no ${what}`)

function requireFiles(files: readonly string[], present: readonly string[], place: string): void {
  const missing = files.find((file) => !present.includes(file))
  if (missing !== undefined) throw lacks(place, missing)
}

/** The files of a folder that are `chosen`. Throws FILE_UNREADABLE, and what `chosen` throws. */
export async function readFiles(
  folder: string,
  chosen: (present: readonly string[], place: string) => string[],
): Promise<Map<string, Uint8Array>> {
  const present = await readdir(folder).catch((error: unknown) => {
    throw new LabelstreamError('FILE_UNREADABLE', `${folder} cannot be read`, { cause: error })
  })
  const files = new Map<string, Uint8Array>()
  for (const file of chosen(present, folder)) files.set(file, await readFile(join(folder, file)))
  return files
}

/** What config.json says about an encoder to train from. Throws MODEL_CORRUPT and MODEL_UNSUPPORTED naming `place`. */
export const readEncoderConfig = (text: string, place: string): ModelConfig =>
  readModelConfig(parseConfig(text, place))

/** The licence must be known: whoever serves a model is bound by it. */
export const licenceMissing = (place: string): LabelstreamError =>
  new LabelstreamError('USAGE', `--licence is missing: ${place} does not say what it is`)

/**
 * What config.json says about a classifier with independent labels; `files` are those that `filesToImport` chose. Throws
 * MODEL_CORRUPT, and MODEL_UNSUPPORTED for anything else, naming `place`.
 */
export function readClassifierConfig(text: string, files: readonly string[], place: string): ModelConfig {
  const json = parseConfig(text, place)
  // a graph says itself what it is made of, and may be of any family
  const config = files.includes(weightsFile) ? readModelConfig(json) : readGraphConfig(json)
  if (config.labels.length === 0) {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      `${place} is an encoder without a classifier: it has no labels; --encoder takes it to train from`,
    )
  }
  if (config.problemType !== undefined && config.problemType !== 'multi_label_classification') {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      `${place} was trained for ${config.problemType}; its scores are no independent label scores`,
    )
  }
  return config
}

/**
 * The manifest among `files` where it is one of this program, and the files that belong to the version: all that
 * it names, each as it says. Without such a manifest, all but those that only a version has. Throws MODEL_CORRUPT naming
 * the file that differs.
 */
export function versionFiles(
  files: ReadonlyMap<string, Uint8Array>,
  place: string,
): { readonly manifest?: ClassifierManifest; readonly files: ReadonlyMap<string, Uint8Array> } {
  const manifest = ownClassifier(files.get(manifestFile), place)
  const ownParts: readonly string[] = [manifestFile, int8DecisionFile, activationRangesFile]
  if (manifest === undefined) {
    return { files: new Map([...files].filter(([file]) => !ownParts.includes(file))) }
  }
  const named = [...files].filter(([file]) => Object.hasOwn(manifest.files, file))
  for (const [file, bytes] of named) {
    if (sha256(bytes) === manifest.files[file]?.sha256) continue
    throw new LabelstreamError('MODEL_CORRUPT', `${place}/${file} differs from ${manifestFile}`)
  }
  return { manifest, files: new Map(named) }
}

function ownClassifier(bytes: Uint8Array | undefined, place: string): ClassifierManifest | undefined {
  const manifest = ownManifest(bytes, place)
  if (manifest === undefined || manifest.kind === 'classifier') return manifest
  throw new LabelstreamError('MODEL_UNSUPPORTED', `${place} is an encoder without a classifier: it has no labels`)
}

/** A manifest of this program; other programs have files of this name, too. Throws MODEL_CORRUPT. */
export function ownManifest(bytes: Uint8Array | undefined, place: string): Manifest | undefined {
  if (bytes === undefined) return undefined
  const text = new TextDecoder().decode(bytes)
  if (!/"kind":\s*"(classifier|encoder)"/.test(text)) return undefined
  return parseManifest(text, `${place}/${manifestFile}`)
}

function parseConfig(text: string, place: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new LabelstreamError('MODEL_CORRUPT', `${place}/config.json is not valid JSON`, { cause: error })
  }
}
