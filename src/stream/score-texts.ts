import { runSorted } from '../runtime/sorted-run.ts'
import { poolMaximum } from './pooling.ts'
import type { Scorer } from './ports.ts'

/** One text's outcome, in the model's label order. */
export interface TextScores {
  /** Windows pooled by their maximum, before calibration. */
  readonly logits: Float32Array
  readonly scores: Float32Array
  readonly decided: readonly string[]
}

/** Scores texts at once, without a stream: the same windows, pooling and decisions, in batches of like lengths. */
export async function scoreTexts(
  scorer: Scorer,
  texts: readonly string[],
  options: { budgetTokens: number; onProgress?: (doneWindows: number) => void },
): Promise<TextScores[]> {
  const tokenized = await scorer.tokenizer.tokenize(texts)
  const windows = tokenized.flatMap((text) => text.windows)
  const rows = await runSorted(scorer.inference, windows, options)
  let next = 0
  return tokenized.map((text) => {
    const pooled = new Float32Array(scorer.labels.length).fill(-Infinity)
    for (let window = 0; window < text.windows.length; window++) {
      poolMaximum(pooled, rows[next++] ?? new Float32Array())
    }
    return { logits: pooled, ...scorer.decide(pooled) }
  })
}
