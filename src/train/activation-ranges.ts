import { activationRangesFile, activationRangesJson } from '../encoders/activation-ranges.ts'
import type { ModelConfig } from '../encoders/config.ts'
import type { TextRunnerOptions } from '../models/text-runner.ts'
import type { Dataset } from './dataset.ts'
import { type UnwrittenModel, valuesOfUnwritten } from './unwritten-model.ts'

/** The means hardly move after the first hundred; these take a second or two. */
const mostTexts = 200

/**
 * The files of a version and the one with the ranges of its activations, which int8 needs for scores that do not depend
 * on the batch. Looked at are training texts, evenly over the data. Throws what inference throws.
 */
export async function withActivationRanges(
  { files, maxTokens }: UnwrittenModel,
  config: ModelConfig,
  train: Dataset,
  options: TextRunnerOptions,
): Promise<UnwrittenModel['files']> {
  const step = Math.max(1, train.rows.length / mostTexts)
  const texts = Array.from(
    { length: Math.min(mostTexts, train.rows.length) },
    (_, place) => train.rows[Math.floor(place * step)]?.text ?? '',
  )
  const fp32 = { ...options, precision: 'fp32', maxWindows: 1 } as const
  const { rows, columns, values } = await valuesOfUnwritten(
    { files, maxTokens },
    'activationExtremes',
    texts,
    fp32,
  )
  const extremes = Array.from({ length: rows }, (_, row) =>
    values.subarray(row * columns, (row + 1) * columns),
  )
  return new Map([...files, [activationRangesFile, activationRangesJson(config, extremes)]])
}
