import { z } from 'zod'
import { LabelstreamError } from '../core/errors.ts'
import { sigmoid } from '../evaluation/calibrators.ts'

/** Most labels of a model; every score event names each of them. */
const maxLabels = 10_000
/** Ten thousand labels with names of a thousand characters fit. */
export const maxDecisionBytes = 16 * 1_048_576

const decisionSchema = z.object({
  format: z.literal(1),
  /** The precision of the logits that calibrators and thresholds were fitted on. */
  precision: z.enum(['fp32', 'fp16', 'int8']),
  calibration: z.enum(['none', 'temperature', 'platt']),
  /** How the thresholds were chosen, in words. */
  thresholdPolicy: z.string(),
  /** In the order of the model's outputs. */
  labels: z
    .array(
      z.object({
        label: z.string().min(1).max(1_000),
        threshold: z.number().min(0).max(1),
        /** True when too few positives were at hand and the threshold is the one pooled over all labels. */
        pooled: z.boolean(),
        /** probability = sigmoid(slope x logit + intercept). */
        calibrator: z.object({ slope: z.number(), intercept: z.number() }),
      }),
    )
    .min(1)
    .max(maxLabels)
    .refine((rows) => new Set(rows.map((row) => row.label)).size === rows.length, 'labels repeat'),
})

/** decision.json: how logits become probabilities and probabilities become decisions. */
export type Decision = z.infer<typeof decisionSchema>

/** Reads decision.json's text. Throws MODEL_CORRUPT naming `path` and what is wrong. */
export function parseDecision(text: string, path: string): Decision {
  const parsed = decisionSchema.safeParse(parseJson(text, path))
  if (parsed.success) return parsed.data
  throw new LabelstreamError('MODEL_CORRUPT', `${path}: ${firstIssue(parsed.error)}`)
}

/** A decision without calibration and the same threshold for every label, for models that bring none. */
export function plainDecision(labels: readonly string[], threshold = 0.5): Decision {
  return {
    format: 1,
    precision: 'fp32',
    calibration: 'none',
    thresholdPolicy: `fixed ${threshold}`,
    labels: labels.map((label) => ({
      label,
      threshold,
      pooled: false,
      calibrator: { slope: 1, intercept: 0 },
    })),
  }
}

/**
 * Scores and decisions of one text. `logits` are in label order, windows already pooled by maximum;
 * `scores` are calibrated, in label order; `decided` are the labels whose score reaches their threshold,
 * highest score first.
 */
export function decide(
  decision: Decision,
  logits: Float32Array,
): { scores: Float32Array; decided: string[] } {
  const scores = new Float32Array(decision.labels.length)
  const decided: { label: string; score: number }[] = []
  decision.labels.forEach(({ label, threshold, calibrator }, column) => {
    const probability = sigmoid(calibrator.slope * (logits[column] ?? NaN) + calibrator.intercept)
    scores[column] = probability
    const score = scores[column] ?? 0
    if (score >= threshold) decided.push({ label, score })
  })
  decided.sort((a, b) => b.score - a.score)
  return { scores, decided: decided.map(({ label }) => label) }
}

/** The plain sigmoid of each logit, for output beside the calibrated scores. */
export const uncalibratedScores = (logits: Float32Array): Float32Array => logits.map(sigmoid)

/** Whether any label's calibrator changes a score. */
export const changesScores = (decision: Decision): boolean =>
  decision.labels.some(({ calibrator }) => calibrator.slope !== 1 || calibrator.intercept !== 0)

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new LabelstreamError('MODEL_CORRUPT', `${path}: not valid JSON`)
  }
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0]
  return issue === undefined ? 'does not fit' : `${issue.path.join('.') || 'the document'}: ${issue.message}`
}
