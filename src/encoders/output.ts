import type { ModelConfig } from './config.ts'
import { linearLayers } from './weights.ts'

/**
 * logits [batch, labels]; embedding, the pooled vector before the head, [batch, hidden]; hidden [batch, sequence, hidden];
 * activationExtremes [batch, 2 x linear layers].
 */
export type ModelOutput = 'logits' | 'embedding' | 'hidden' | 'activationExtremes'

/** Numbers a row of the output of a batch. */
export function outputWidth(config: ModelConfig, output: Exclude<ModelOutput, 'hidden'>): number {
  switch (output) {
    case 'logits':
      return config.labels.length
    case 'embedding':
      return config.hiddenSize
    case 'activationExtremes':
      return 2 * linearLayers(config).length
  }
}
