import { poolMaximum } from './pooling.ts'
import type { Scorer } from './ports.ts'

/** One text's outcome; `scores` are calibrated, in label order. */
export interface TextScores {
  readonly logits: Float32Array
  readonly scores: Float32Array
  readonly decided: readonly string[]
}
