import { asLabelstreamError, LabelstreamError } from '../core/errors.ts'
import { type Decision, decide } from '../models/decision.ts'
import type { Model } from '../models/folder.ts'
import { checkGolden } from '../models/golden.ts'
import { decideAll } from '../models/score-matrix.ts'
import { autoPrecisionOnCpu, decisionFor } from '../models/served-precision.ts'
import { TextRunner, type TextRunnerOptions } from '../models/text-runner.ts'
import type { Scorer } from './ports.ts'

export interface ServingOptions extends TextRunnerOptions {
  /** Longest window; 0 takes the model's own. */
  readonly maxTokens: number
}

/** How far scores of golden texts may be from the manifest's, by precision of the arithmetic. */
const goldenTolerance: Readonly<Record<string, number>> = { fp32: 0.002, fp16: 0.02, int8: 0.25 }
const neutralText = 'This is a text.'

/** One text's outcome, in the model's label order. */
export interface TextScores {
  /** Windows pooled by their maximum, before calibration. */
  readonly logits: Float32Array
  readonly scores: Float32Array
  readonly decided: readonly string[]
}

/** One model version, warm: its tokenizer threads and its inference process. */
export class Serving {
  readonly model: Model
  /** The one for the precision that is served. */
  readonly decision: Decision
  readonly scorer: Scorer
  readonly #runner: TextRunner

  private constructor(model: Model, decision: Decision, scorer: Scorer, runner: TextRunner) {
    this.model = model
    this.decision = decision
    this.scorer = scorer
    this.#runner = runner
  }

  /**
   * Starts tokenizer threads and inference process and scores the manifest's golden texts.
   * Throws MODEL_CORRUPT when the scores differ from the manifest's or are no numbers, SETTING_INVALID for a window that the model
   * does not take, and what the two throw.
   */
  static async start(model: Model, { maxTokens: wanted, ...options }: ServingOptions): Promise<Serving> {
    const maxTokens = windowTokens(model, wanted)
    const runner = await TextRunner.start({ ...model, maxTokens }, 'logits', {
      autoOnCpu: autoPrecisionOnCpu(model.manifest),
      ...options,
    })
    const decision = decisionFor(model, runner.inference.info.precision)
    try {
      await checkGoldenTexts(model, decision, runner)
      return new Serving(model, decision, scorerOf(model, decision, maxTokens, runner), runner)
    } catch (error) {
      await runner.close()
      throw error
    }
  }

  get inference(): TextRunner['inference'] {
    return this.#runner.inference
  }

  /** Scores texts without a stream: the same windows, pooling and decisions, in batches of like lengths. */
  async score(texts: readonly string[]): Promise<TextScores[]> {
    const { values } = await this.#runner.run(texts)
    return texts.map((_text, row) => {
      const logits = values.values.subarray(row * values.columns, (row + 1) * values.columns)
      return { logits, ...this.scorer.decide(logits) }
    })
  }

  async close(): Promise<void> {
    await this.#runner.close()
  }
}

function windowTokens(model: Model, wanted: number): number {
  if (wanted <= model.maxTokens) return wanted === 0 ? model.maxTokens : wanted
  throw new LabelstreamError(
    'SETTING_INVALID',
    `setting text.maxTokens is ${wanted}, but model ${model.name}@${model.version} takes at most ${model.maxTokens} tokens`,
  )
}

function scorerOf(
  model: Model,
  decision: Decision,
  maxTokens: number,
  { tokenizer, inference }: TextRunner,
): Scorer {
  const { name, version, digest, labels } = model
  return {
    model: { name, version, digest, precision: inference.info.precision },
    labels,
    maxTokens,
    knownGoodText: model.manifest.golden[0]?.text ?? neutralText,
    tokenizer,
    inference,
    decide: (logits) => decide(decision, logits),
  }
}

/** Proves that this machine computes what the model's maker saw, or at least scores where nothing says what they are. */
async function checkGoldenTexts(model: Model, decision: Decision, runner: TextRunner): Promise<void> {
  const { golden } = model.manifest
  const { precision } = runner.inference.info
  const texts = golden.length === 0 ? [neutralText] : golden.map(({ text }) => text)
  const { values } = await runner.run(texts).catch((error: unknown) => {
    throw scoresNothing(model, asLabelstreamError(error))
  })
  const { scores } = decideAll(decision, values)
  checkGolden(model.folder, golden, model.labels, scores, goldenTolerance[precision])
}

/** A session that answers, and not with scores, does so because of the model. */
const scoresNothing = (model: Model, error: LabelstreamError): LabelstreamError =>
  error.code !== 'INFERENCE_FAILED'
    ? error
    : new LabelstreamError('MODEL_CORRUPT', `${model.folder} cannot score a plain text: ${error.message}`, {
        cause: error,
      })
