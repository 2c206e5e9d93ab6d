import { type ModelConfig, readModelConfig } from '../../src/encoders/config.ts'

/** The configuration of a small BERT with a head. */
export const headConfig = (
  hiddenSize: number,
  labels: readonly string[],
  headHiddenSizes: readonly number[] = [],
): ModelConfig =>
  readModelConfig({
    model_type: 'bert',
    hidden_size: hiddenSize,
    num_attention_heads: 1,
    id2label: Object.fromEntries(labels.entries()),
    labelstream: { pooling: 'mean', headHiddenSizes, headActivation: 'gelu' },
  })
