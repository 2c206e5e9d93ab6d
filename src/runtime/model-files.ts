import { join } from 'node:path'
import { sha256 } from '../core/digest.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { readFileLimited } from '../core/files.ts'
import { maxConfigBytes, readModelConfig } from '../encoders/config.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { buildModelGraph } from '../encoders/model.ts'
import { readSafetensors } from '../formats/safetensors.ts'
import type { ConcretePrecision, SessionRequest } from './messages.ts'

/**
 * The ONNX bytes of a model folder in one precision. Every file is compared with its expected digest before it is parsed.
 * Throws FILE_UNREADABLE, MODEL_CORRUPT and MODEL_UNSUPPORTED, naming the file.
 */
export async function buildFromFolder(
  request: Pick<SessionRequest, 'folder' | 'output' | 'expectedDigests'>,
  precision: ConcretePrecision,
): Promise<{ readonly config: ModelConfig; readonly onnx: Uint8Array }> {
  const { folder, output, expectedDigests } = request
  const configFile = join(folder, 'config.json')
  const configBytes = await readVerified(folder, 'config.json', maxConfigBytes, expectedDigests)
  const weightBytes = await readVerified(folder, 'model.safetensors', maxWeightBytes, expectedDigests)
  const config = readModelConfig(parseJson(configBytes, configFile))
  return { config, onnx: buildModelGraph(config, readSafetensors(weightBytes), output, precision) }
}

/** A graph with its weights must fit into one protobuf message, and those end at 2 GiB. */
const maxWeightBytes = 2 ** 31 - 2 ** 24

async function readVerified(
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
