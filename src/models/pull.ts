import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { makeOwnedFolder } from '../core/owned-folder.ts'
import { maxConfigBytes } from '../encoders/config.ts'
import { maxDecisionBytes } from './decision.ts'
import type { Hub, HubFile } from './hub.ts'
import { type ImportOptions, importModel } from './import.ts'
import { filesToImport, licenceMissing, readClassifierConfig } from './importable.ts'
import { manifestFile, maxManifestBytes } from './manifest.ts'
import { modelFolder } from './names.ts'
import { int8DecisionFile } from './served-precision.ts'
import type { WrittenVersion } from './versions.ts'

export interface PullOptions extends Omit<ImportOptions, 'source'> {
  /** Of the file that is being fetched; `total` is of all. */
  readonly onProgress?: (progress: { file: string; bytes: number; total: number }) => void
}

export interface PulledVersion extends WrittenVersion {
  readonly source: { readonly hub: string; readonly repository: string; readonly commit: string }
}

const megabyte = 1_048_576
/** Weights: what one ONNX graph can hold. Of the others, what their readers take. */
const mostBytes: Readonly<Record<string, number>> = {
  'model.safetensors': 2_048 * megabyte,
  'config.json': maxConfigBytes,
  'decision.json': maxDecisionBytes,
  [int8DecisionFile]: maxDecisionBytes,
  [manifestFile]: maxManifestBytes,
}
const mostOtherBytes = 64 * megabyte

/**
 * Fetches a classifier from a model hub, at the commit that the revision means now, and takes it as `importModel` does.
 * Only the files that an import reads are fetched, each compared with the hub's digest before anything is parsed. Throws
 * what `Hub` and `importModel` throw, and MODEL_UNSUPPORTED for a file that is too large.
 */
export async function pullModel(
  hub: Hub,
  { repository, revision }: { readonly repository: string; readonly revision: string },
  options: PullOptions,
): Promise<PulledVersion> {
  // a name that is none is told before anything is fetched
  modelFolder(options.modelsFolder, options.name)
  const snapshot = await hub.snapshot(repository, revision)
  const { commit } = snapshot
  const place = `${repository} at ${commit.slice(0, 12)}`
  const files = chosenFiles(snapshot.files, place)
  const licence = options.licence ?? snapshot.licence
  if (licence === undefined && !files.some(({ path }) => path === manifestFile)) throw licenceMissing(place)
  const folder = await temporaryFolder(options.modelsFolder)
  try {
    const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    let before = 0
    for (const file of files) {
      await hub.download(snapshot, file, join(folder, file.path), (bytes) => {
        options.onProgress?.({ file: file.path, bytes: before + bytes, total })
      })
      before += file.sizeBytes
      // it is the first and small, and what cannot be served is not fetched
      if (file.path === 'config.json') {
        readClassifierConfig(await readFile(join(folder, file.path), 'utf8'), place)
      }
    }
    const source = { hub: hub.address, repository, commit }
    return { ...(await importModel(folder, { ...options, licence, source })), source }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function chosenFiles(files: readonly HubFile[], place: string): HubFile[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  return filesToImport([...byPath.keys()], place).flatMap((path) => {
    const file = byPath.get(path)
    if (file === undefined) return []
    const limit = mostBytes[path] ?? mostOtherBytes
    if (file.sizeBytes <= limit) return [file]
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      `${place}: ${path} has ${file.sizeBytes} bytes, the limit is ${limit}`,
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
