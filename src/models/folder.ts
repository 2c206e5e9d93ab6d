import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { LabelstreamError } from '../core/errors.ts'
import { readFileLimited } from '../core/files.ts'
import { maxConfigBytes } from '../encoders/config.ts'
import { storedGraphFile, weightsFile } from '../runtime/model-config.ts'
import { readChampion } from './champion.ts'
import { type Decision, maxDecisionBytes, parseDecision } from './decision.ts'
import { type ClassifierManifest, type Manifest, manifestFile } from './manifest.ts'
import { isName, modelFolder, parseReference, versionFolder } from './names.ts'
import { checkInt8Decision, int8DecisionFile } from './served-precision.ts'
import { verifyFolder } from './verify.ts'

/** A model version that is ready to be served: verified, its decision parsed. */
export interface Model {
  readonly folder: string
  readonly name: string
  readonly version: string
  /** The version's digest, as score events carry it. */
  readonly digest: string
  /** SHA-256 by file, for the process that loads them. */
  readonly fileDigests: Readonly<Record<string, string>>
  readonly labels: readonly string[]
  readonly decision: Decision
  /** What decides when the int8 graph serves, where the version has one of its own. */
  readonly int8Decision?: Decision
  readonly manifest: ClassifierManifest
  readonly maxTokens: number
}

/** An encoder to train from: a folder with config.json, tokenizer files and model.safetensors. */
export interface EncoderFolder {
  readonly folder: string
  readonly name: string
  readonly digest: string
  readonly fileDigests: Readonly<Record<string, string>>
  readonly licence: string
}

/**
 * Opens `name` (its champion), `name@version` or a folder; all digests are verified before anything is parsed.
 * Throws MODEL_NOT_FOUND naming what exists, MODEL_CORRUPT for a damaged folder, MODEL_UNSUPPORTED for a bare
 * encoder, SETTING_INVALID for a reference that is none.
 */
export async function openModel(reference: string, modelsFolder: string): Promise<Model> {
  const folder = await resolveReference(reference, modelsFolder)
  const { manifest, digest } = await verifyFolder(folder)
  if (manifest.kind !== 'classifier') {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      `${folder} is an encoder without labels: train it with \`labelstream retrain --base ${manifest.name}\``,
    )
  }
  const modelFile = bringsGraph(manifest) ? storedGraphFile : weightsFile
  for (const file of ['decision.json', 'config.json', modelFile]) {
    if (!Object.hasOwn(manifest.files, file)) {
      throw new LabelstreamError('MODEL_CORRUPT', `${join(folder, manifestFile)} does not name ${file}`)
    }
  }
  const decisionPath = join(folder, 'decision.json')
  const decision = await readDecision(decisionPath)
  const labels = decision.labels.map(({ label }) => label)
  await checkConfigLabels(join(folder, 'config.json'), labels)
  const int8Decision = await readInt8Decision(folder, manifest, decision)
  return {
    folder,
    name: manifest.name,
    version: manifest.version,
    digest,
    fileDigests: digestsOf(manifest.files),
    labels,
    decision,
    ...(int8Decision === undefined ? {} : { int8Decision }),
    manifest,
    maxTokens: manifest.maxTokens,
  }
}

/** A graph that is served as it is, instead of weights to build one from. */
const bringsGraph = ({ files }: Manifest): boolean =>
  Object.hasOwn(files, storedGraphFile) && !Object.hasOwn(files, weightsFile)

const readDecision = async (path: string): Promise<Decision> =>
  parseDecision((await readFileLimited(path, maxDecisionBytes)).toString('utf8'), path)

async function readInt8Decision(
  folder: string,
  manifest: ClassifierManifest,
  decision: Decision,
): Promise<Decision | undefined> {
  if (!Object.hasOwn(manifest.files, int8DecisionFile)) return undefined
  const path = join(folder, int8DecisionFile)
  const int8Decision = await readDecision(path)
  checkInt8Decision(int8Decision, decision, path)
  return int8Decision
}

/** Opens an encoder, or a trained model to take its encoder from. References and errors as `openModel`. */
export async function openEncoder(reference: string, modelsFolder: string): Promise<EncoderFolder> {
  const folder = await resolveReference(reference, modelsFolder)
  const { manifest, digest } = await verifyFolder(folder)
  if (bringsGraph(manifest)) {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      `${folder} has a graph instead of weights, which cannot be trained: take a model with ${weightsFile}`,
    )
  }
  return {
    folder,
    name: manifest.name,
    digest,
    fileDigests: digestsOf(manifest.files),
    licence: manifest.licence,
  }
}

/** The names in a models folder, sorted. */
export async function modelNames(modelsFolder: string): Promise<string[]> {
  const entries = await readdir(modelsFolder, { withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isDirectory() && isName(entry.name))
    .map((entry) => entry.name)
    .sort()
}

/** The versions of a model, oldest first: the folders that hold a manifest. */
export async function versionNames(modelsFolder: string, name: string): Promise<string[]> {
  const folder = modelFolder(modelsFolder, name)
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const names = entries.filter((entry) => entry.isDirectory() && isName(entry.name)).map((entry) => entry.name)
  const held = await Promise.all(names.map((version) => exists(join(folder, version, manifestFile))))
  return names.filter((_name, index) => held[index]).sort()
}

/** The version folder that a reference means. Throws MODEL_NOT_FOUND, SETTING_INVALID. */
export async function resolveReference(reference: string, modelsFolder: string): Promise<string> {
  const parsed = parseReference(reference)
  if (parsed.kind === 'named') return namedFolder(parsed.name, parsed.version, modelsFolder)
  const folder = resolve(parsed.folder)
  if (await exists(join(folder, manifestFile))) return folder
  // The folder of a model rather than of one version: models/<name>.
  if (isName(basename(folder)) && (await exists(join(folder, 'champion')))) {
    return namedFolder(basename(folder), undefined, dirname(folder))
  }
  throw new LabelstreamError('MODEL_NOT_FOUND', `${folder} is no model folder: it has no ${manifestFile}`)
}

/**
 * The model whose champion a reference means, so that another one can be promoted while it is served; undefined for a
 * reference to one version. Throws SETTING_INVALID.
 */
export async function followedModel(
  reference: string,
  modelsFolder: string,
): Promise<{ readonly modelsFolder: string; readonly name: string } | undefined> {
  const parsed = parseReference(reference)
  if (parsed.kind === 'named') {
    return parsed.version === undefined ? { modelsFolder, name: parsed.name } : undefined
  }
  const folder = resolve(parsed.folder)
  if ((await exists(join(folder, manifestFile))) || !isName(basename(folder))) return undefined
  return { modelsFolder: dirname(folder), name: basename(folder) }
}

async function namedFolder(name: string, version: string | undefined, modelsFolder: string): Promise<string> {
  const folder = modelFolder(modelsFolder, name)
  if (!(await exists(folder))) {
    throw new LabelstreamError(
      'MODEL_NOT_FOUND',
      `there is no model ${name} in ${modelsFolder}; there are: ${listed(await modelNames(modelsFolder))}`,
    )
  }
  // An encoder lies in models/<name> itself: it has no versions.
  if (version === undefined && (await exists(join(folder, manifestFile)))) return folder
  const wanted = version ?? (await readChampion(modelsFolder, name))
  const versions = await versionNames(modelsFolder, name)
  if (wanted === undefined) {
    throw new LabelstreamError(
      'MODEL_NOT_FOUND',
      `model ${name} has no champion: name a version (${listed(versions)}) or promote one with \`labelstream models promote\``,
    )
  }
  if (!versions.includes(wanted)) {
    throw new LabelstreamError(
      'MODEL_NOT_FOUND',
      `model ${name} has no version ${wanted}; there are: ${listed(versions)}`,
    )
  }
  return versionFolder(modelsFolder, name, wanted)
}

/** The score columns are named twice, for us and for transformers; they must not disagree. */
async function checkConfigLabels(path: string, labels: readonly string[]): Promise<void> {
  const shape = z.object({ id2label: z.record(z.string(), z.string()) })
  let named: string[]
  try {
    const { id2label } = shape.parse(JSON.parse((await readFileLimited(path, maxConfigBytes)).toString('utf8')))
    named = labels.map((_label, column) => id2label[String(column)] ?? '')
    if (Object.keys(id2label).length !== labels.length) named = []
  } catch (error) {
    throw new LabelstreamError('MODEL_CORRUPT', `${path} has no id2label`, { cause: error })
  }
  if (labels.some((label, column) => named[column] !== label)) {
    throw new LabelstreamError('MODEL_CORRUPT', `${path}: id2label differs from the labels of decision.json`)
  }
}

const digestsOf = (files: ClassifierManifest['files']): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([file, { sha256 }]) => [file, sha256]))

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

const listed = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '))
