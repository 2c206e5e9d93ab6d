import { buildModelGraph } from '../encoders/model.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { readSafetensors } from '../formats/safetensors.ts'
import type { ConcretePrecision, SessionRequest } from './messages.ts'
import { readConfig, readVerified } from './model-config.ts'

/**
 * The ONNX bytes of a model folder in one precision. Every file is compared with its expected digest before it is parsed.
 * Throws FILE_UNREADABLE, MODEL_CORRUPT and MODEL_UNSUPPORTED, naming the file.
 */
export async function buildFromFolder(
  request: Pick<SessionRequest, 'folder' | 'output' | 'expectedDigests'>,
  precision: ConcretePrecision,
): Promise<{ readonly config: ModelConfig; readonly onnx: Uint8Array }> {
  const { folder, output, expectedDigests } = request
  const config = await readConfig(request)
  const weights = await readVerified(folder, 'model.safetensors', maxWeightBytes, expectedDigests)
  return { config, onnx: buildModelGraph(config, readSafetensors(weights), output, precision) }
}

/** A graph with its weights must fit into one protobuf message, and those end at 2 GiB. */
const maxWeightBytes = 2 ** 31 - 2 ** 24
