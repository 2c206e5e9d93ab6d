import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { makeOwnedFolder } from '../core/owned-folder.ts'
import { maxConfigBytes } from '../encoders/config.ts'
import { storedGraphFile, weightsFile } from '../runtime/model-config.ts'
import { maxDecisionBytes } from './decision.ts'
import type { Hub, HubFile } from './hub.ts'
import { importEncoder } from './import-encoder.ts'
import { type ImportOptions, importModel } from './import.ts'
import {
  encoderFilesToImport,
  filesToImport,
  licenceMissing,
  readClassifierConfig,
  readEncoderConfig,
} from './importable.ts'
import { manifestFile, maxManifestBytes } from './manifest.ts'
import { modelFolder } from './names.ts'
import { int8DecisionFile } from './served-precision.ts'
import type { WrittenVersion } from './versions.ts'

export interface PullOptions extends Omit<ImportOptions, 'source' | 'cardLicence'> {
  /** Takes the encoder to train from, instead of a classifier. */
  readonly encoder?: boolean
  /** Of the file that is being fetched; `total` is of all. */
  readonly onProgress?: (progress: { file: string; bytes: number; total: number }) => void
}

export interface PulledVersion extends WrittenVersion {
  readonly source: { readonly hub: string; readonly repository: string; readonly commit: string }
}

const megabyte = 1_048_576
/** Weights: what one ONNX graph can hold. Of the others, what their readers take. */
const mostBytes: Readonly<Record<string, number>> = {
  [weightsFile]: 2_048 * megabyte,
  [storedGraphFile]: 2_048 * megabyte,
  'config.json': maxConfigBytes,
  'decision.json': maxDecisionBytes,
  [int8DecisionFile]: maxDecisionBytes,
  [manifestFile]: maxManifestBytes,
}
const mostOtherBytes = 64 * megabyte

/**
 * Fetches a classifier or an encoder from a model hub, at the commit that the revision means now, and takes it as
 * `importModel` or `importEncoder` does. Only the files that an import reads are fetched, each compared with the hub's
 * digest before anything is parsed. Throws what `Hub` and these throw, and MODEL_UNSUPPORTED for a file that is too large.
 */
export async function pullModel(
  hub: Hub,
  { repository, revision }: { readonly repository: string; readonly revision: string },
  options: PullOptions,
): Promise<PulledVersion> {
  const kind = options.encoder === true ? encoder : classifier
  // a name that is none is told before anything is fetched
  modelFolder(options.modelsFolder, options.name)
  const snapshot = await hub.snapshot(repository, revision)
  const { commit } = snapshot
  const place = `${repository} at ${commit.slice(0, 12)}`
  const files = chosenFiles(snapshot.files, place, kind.files)
  const names = files.map(({ name }) => name)
  const { licence: cardLicence } = snapshot
  if ((options.licence ?? cardLicence) === undefined && !names.includes(manifestFile)) throw licenceMissing(place)
  const folder = await temporaryFolder(options.modelsFolder)
  try {
    const total = files.reduce((sum, { file }) => sum + file.sizeBytes, 0)
    let before = 0
    for (const { name, file } of files) {
      await hub.download(snapshot, file, join(folder, name), (bytes) => {
        options.onProgress?.({ file: file.path, bytes: before + bytes, total })
      })
      before += file.sizeBytes
      // it is the first and small, and what cannot be served is not fetched
      if (name !== 'config.json') continue
      kind.check(await readFile(join(folder, name), 'utf8'), names, place)
    }
    const source = { hub: hub.address, repository, commit }
    return { ...(await kind.take(folder, { ...options, cardLicence, source })), source }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const classifier = { files: filesToImport, check: readClassifierConfig, take: importModel }
const encoder = {
  files: encoderFilesToImport,
  check: (text: string, _names: readonly string[], place: string) => readEncoderConfig(text, place),
  take: importEncoder,
}

/** Exporters to ONNX put it there. */
const graphFolder = 'onnx/'

/** Each under its name in a model folder. */
function chosenFiles(
  files: readonly HubFile[],
  place: string,
  choose: typeof filesToImport,
): { readonly name: string; readonly file: HubFile }[] {
  const byName = new Map(files.map((file) => [file.path, file]))
  const graph = byName.get(`${graphFolder}${storedGraphFile}`)
  if (graph !== undefined && !byName.has(storedGraphFile)) byName.set(storedGraphFile, graph)
  return choose([...byName.keys()], place).flatMap((name) => {
    const file = byName.get(name)
    if (file === undefined) return []
    const limit = mostBytes[name] ?? mostOtherBytes
    if (file.sizeBytes <= limit) return [{ name, file }]
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      `${place}: ${file.path} has ${file.sizeBytes} bytes, the limit is ${limit}`,
    )
  })
}

/** Hidden, so that it is no model, and on the file system that the model goes to. */
async function temporaryFolder(modelsFolder: string): Promise<string> {
  try {
    await mkdir(modelsFolder, { recursive: true })
    return await makeOwnedFolder(modelsFolder, '.pull-')
  } catch (error) {
    throw new LabelstreamError('FILE_UNREADABLE', `${modelsFolder} cannot be written: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
