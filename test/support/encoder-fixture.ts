import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ModelConfig, readModelConfig } from '../../src/encoders/config.ts'
import type { ModelOutput } from '../../src/encoders/output.ts'
import { type Tensor, readSafetensors } from '../../src/formats/safetensors.ts'
import { int32Matrix, largestDifference, runOnce } from './onnx-session.ts'

/** Rows of token ids, and which of them are there. */
export interface TokenBatch {
  readonly inputIds: number[][]
  readonly attentionMask: number[][]
}

export const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))

/** A folder's config.json and tensors. */
export function openEncoderFolder(folder: string): { config: ModelConfig; weights: Map<string, Tensor> } {
  return {
    config: readModelConfig(readJson(join(folder, 'config.json'))),
    weights: readSafetensors(readFileSync(join(folder, 'model.safetensors'))),
  }
}

/** One output of a model over a batch. */
export async function compute(
  model: Uint8Array,
  output: ModelOutput,
  { inputIds, attentionMask }: TokenBatch,
): Promise<{ dims: readonly number[]; values: number[] }> {
  const results = await runOnce(model, {
    input_ids: int32Matrix(inputIds),
    attention_mask: int32Matrix(attentionMask),
  })
  const result = results[output]
  assert.ok(result !== undefined, `the model has no output ${output}`)
  return result
}

/** Within what PyTorch's and ONNX Runtime's orders of additions may differ by. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  what: string,
  tolerance = 1e-4,
): void {
  const difference = largestDifference(actual, expected)
  assert.ok(difference <= tolerance, `${what} differs from PyTorch by ${difference}`)
}
