import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { sha256 } from '../core/digest.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { readFileLimited } from '../core/files.ts'
import { maxConfigBytes, type ModelConfig, readModelConfig } from '../encoders/config.ts'
import type { SessionRequest } from './messages.ts'

/** A graph with its weights must fit into one protobuf message, and those end at 2 GiB. */
export const maxWeightBytes = 2 ** 31 - 2 ** 24

export const weightsFile = 'model.safetensors'

/** What a folder has where it has no weights: a graph that is served as it is. */
export const storedGraphFile = 'model.onnx'

type Files = Pick<SessionRequest, 'folder' | 'expectedDigests'>

/** Whether a file is part of the model: where digests are known, one without is not. */
export const isThere = (file: string, { folder, expectedDigests }: Files): boolean =>
  Object.keys(expectedDigests).length > 0
    ? Object.hasOwn(expectedDigests, file)
    : existsSync(join(folder, file))

/** Whether a folder brings a graph instead of weights to build one from. */
export const hasStoredGraph = (files: Files): boolean =>
  isThere(storedGraphFile, files) && !isThere(weightsFile, files)

/**
 * config.json of a model folder, compared with its expected digest before it is parsed, as `read` understands it. Throws
 * FILE_UNREADABLE, MODEL_CORRUPT and MODEL_UNSUPPORTED, naming the file.
 */
export async function readConfig(
  { folder, expectedDigests }: Files,
  read: (json: unknown) => ModelConfig = readModelConfig,
): Promise<ModelConfig> {
  const bytes = await readVerified(folder, 'config.json', maxConfigBytes, expectedDigests)
  return read(parseJson(bytes, join(folder, 'config.json')))
}

/** A file of a model folder, compared with its expected digest. Throws FILE_UNREADABLE and MODEL_CORRUPT, naming it. */
export async function readVerified(
  folder: string,
  name: string,
  maxBytes: number,
  digests: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  const file = join(folder, name)
  let bytes: Uint8Array
  try {
    bytes = await readFileLimited(file, maxBytes)
  } catch (error) {
    if (error instanceof LabelstreamError) throw error
    throw new LabelstreamError('FILE_UNREADABLE', `cannot read ${file}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const expected = digests[name]
  if (expected !== undefined && sha256(bytes) !== expected) {
    throw new LabelstreamError(
      'MODEL_CORRUPT',
      `${file} is not the file of the manifest: its SHA-256 differs`,
    )
  }
  return bytes
}

function parseJson(bytes: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch (error) {
    throw new LabelstreamError('MODEL_CORRUPT', `${file} is not JSON`, { cause: error })
  }
}
