import { join } from 'node:path'
import { sha256 } from '../core/digest.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { readFileLimited } from '../core/files.ts'
import { maxConfigBytes, type ModelConfig, readModelConfig } from '../encoders/config.ts'
import type { SessionRequest } from './messages.ts'

/**
 * config.json of a model folder, compared with its expected digest before it is parsed. Throws FILE_UNREADABLE,
 * MODEL_CORRUPT and MODEL_UNSUPPORTED, naming the file.
 */
export async function readConfig({
  folder,
  expectedDigests,
}: Pick<SessionRequest, 'folder' | 'expectedDigests'>): Promise<ModelConfig> {
  const bytes = await readVerified(folder, 'config.json', maxConfigBytes, expectedDigests)
  return readModelConfig(parseJson(bytes, join(folder, 'config.json')))
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
