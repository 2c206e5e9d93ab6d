import { join } from 'node:path'
import {
  activationRangesFile,
  maxActivationRangesBytes,
  parseActivationRanges,
} from '../encoders/activation-ranges.ts'
import type { ActivationRanges } from '../encoders/activation-ranges.ts'
import { modelGraph, type GraphForm } from '../encoders/model.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { readSafetensors } from '../formats/safetensors.ts'
import type { Graph } from '../graph/builder.ts'
import type { ConcretePrecision, SessionRequest } from './messages.ts'
import { isThere, maxWeightBytes, readConfig, readVerified, weightsFile } from './model-config.ts'

/**
 * The graph of a model folder in one precision. Every file is compared with its expected digest before it is parsed.
 * Throws FILE_UNREADABLE, MODEL_CORRUPT and MODEL_UNSUPPORTED, naming the file.
 */
export async function buildFromFolder(
  request: Pick<SessionRequest, 'folder' | 'output' | 'expectedDigests'>,
  precision: ConcretePrecision,
  form: GraphForm = 'served',
): Promise<{ readonly config: ModelConfig; readonly graph: Graph }> {
  const { folder, output, expectedDigests } = request
  const config = await readConfig(request)
  const weights = await readVerified(folder, weightsFile, maxWeightBytes, expectedDigests)
  const ranges = precision === 'int8' ? await readRanges(request, config) : undefined
  return { config, graph: modelGraph(config, readSafetensors(weights), output, precision, ranges, form) }
}

/** Undefined for a folder without: activations are quantised by their own ranges then. */
async function readRanges(
  request: Pick<SessionRequest, 'folder' | 'expectedDigests'>,
  config: ModelConfig,
): Promise<ActivationRanges | undefined> {
  if (!isThere(activationRangesFile, request)) return undefined
  const { folder, expectedDigests } = request
  const path = join(folder, activationRangesFile)
  const bytes = await readVerified(folder, activationRangesFile, maxActivationRangesBytes, expectedDigests)
  return parseActivationRanges(new TextDecoder().decode(bytes), config, path)
}
