import { type Metrics, evaluateScores } from '../evaluation/metrics.ts'
import type { Model } from '../models/folder.ts'
import { decisionFor } from '../models/served-precision.ts'
import { decideAll, scoresByLabel } from '../models/score-matrix.ts'
import { TextRunner, type TextRunnerOptions } from '../models/text-runner.ts'
import type { Decision } from '../models/decision.ts'
import { type LabeledTexts, datasetOf, targetsOf } from './dataset.ts'
import { writeJsonLines } from './write-lines.ts'

export interface EvaluateOptions {
  /** `tuned`: the model's own thresholds; a number: that threshold for every label. */
  readonly threshold: 'tuned' | number
  /** JSONL file to write one `{ id, scores, labels }` a row to, in the data's order. */
  readonly predictionsPath?: string
  readonly runner: TextRunnerOptions
  readonly onProgress?: (done: number, total: number) => void
}

export interface Evaluation extends Metrics {
  /** `tuned`, or the fixed threshold as text. */
  readonly threshold: string
}

/**
 * Scores labelled texts with a model and measures the scores. The data may name only labels that the model has.
 * Throws DATA_INVALID, FILE_UNREADABLE for the predictions, and what inference throws.
 */
export async function evaluate(
  model: Model,
  data: LabeledTexts,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const dataset = datasetOf(data, [...model.labels])
  const runner = await TextRunner.start(model, 'logits', options.runner)
  const served = decisionFor(model, runner.inference.info.precision)
  const logits = await runner
    .run(
      dataset.rows.map(({ text }) => text),
      options.onProgress,
    )
    .finally(() => runner.close())
  const decision = withThreshold(served, options.threshold)
  const { scores, decided } = decideAll(decision, logits.values)
  const thresholds = decision.labels.map(({ threshold }) => threshold)
  if (options.predictionsPath !== undefined) {
    await writeJsonLines(
      options.predictionsPath,
      dataset.rows.map(({ id }, row) => ({
        id,
        scores: scoresByLabel(model.labels, scores, row),
        labels: decided[row] ?? [],
      })),
    )
  }
  return {
    threshold: String(options.threshold),
    ...evaluateScores(scores, targetsOf(dataset), model.labels, thresholds),
  }
}

export const withThreshold = (decision: Decision, threshold: 'tuned' | number): Decision =>
  threshold === 'tuned'
    ? decision
    : { ...decision, labels: decision.labels.map((row) => ({ ...row, threshold })) }
