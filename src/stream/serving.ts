import { LabelstreamError } from '../core/errors.ts'
import { decide } from '../models/decision.ts'
import type { Model } from '../models/folder.ts'
import { autoPrecisionOnCpu, decisionFor } from '../models/served-precision.ts'
import { Inference, type InferenceOptions } from '../runtime/inference.ts'
import { TokenizerPool } from '../text/tokenizer-pool.ts'
import type { Scorer } from './ports.ts'
import { scoreTexts } from './score-texts.ts'

export interface ServingOptions extends Pick<
  InferenceOptions,
  'provider' | 'precision' | 'threads' | 'deadlineMs' | 'onRestart' | 'onLog'
> {
  /** Longest window; 0 takes the model's own. */
  readonly maxTokens: number
  readonly maxWindows: number
  readonly strideTokens: number
  readonly tokenizerThreads: number
  /** Most padded tokens in one batch of `scoreTexts`. */
  readonly budgetTokens: number
}

/** How far scores of golden texts may be from the manifest's, by precision of the arithmetic. */
const goldenTolerance: Readonly<Record<string, number>> = { fp32: 0.002, fp16: 0.02, int8: 0.25 }
const neutralText = 'This is a text.'

/** One model version, warm: its tokenizer threads and its inference process. */
export class Serving {
  readonly model: Model
  readonly scorer: Scorer
  readonly inference: Inference
  readonly #tokenizer: TokenizerPool

  private constructor(model: Model, scorer: Scorer, inference: Inference, tokenizer: TokenizerPool) {
    this.model = model
    this.scorer = scorer
    this.inference = inference
    this.#tokenizer = tokenizer
  }

  /**
   * Starts tokenizer threads and inference process and scores the manifest's golden texts.
   * Throws MODEL_CORRUPT when the scores differ from the manifest's, and what the two throw.
   */
  static async start(model: Model, options: ServingOptions): Promise<Serving> {
    const maxTokens = windowTokens(model, options.maxTokens)
    const starting = await Promise.allSettled([
      TokenizerPool.start({
        folder: model.folder,
        threads: options.tokenizerThreads,
        maxTokens,
        maxWindows: options.maxWindows,
        strideTokens: options.strideTokens,
      }),
      Inference.start({
        folder: model.folder,
        output: 'logits',
        provider: options.provider,
        precision: options.precision,
        autoOnCpu: autoPrecisionOnCpu(model.manifest),
        threads: options.threads,
        deadlineMs: options.deadlineMs,
        expectedDigests: model.fileDigests,
        ...(options.onRestart === undefined ? {} : { onRestart: options.onRestart }),
        ...(options.onLog === undefined ? {} : { onLog: options.onLog }),
      }),
    ])
    const [tokenizer, inference] = starting
    if (tokenizer.status === 'rejected' || inference.status === 'rejected') {
      for (const part of starting) if (part.status === 'fulfilled') await part.value.close()
      throw tokenizer.status === 'rejected' ? tokenizer.reason : (inference as PromiseRejectedResult).reason
    }
    const scorer = scorerOf(model, maxTokens, tokenizer.value, inference.value)
    const serving = new Serving(model, scorer, inference.value, tokenizer.value)
    try {
      await checkGoldenTexts(model, scorer, options.budgetTokens)
    } catch (error) {
      await serving.close()
      throw error
    }
    return serving
  }

  async close(): Promise<void> {
    await Promise.all([this.#tokenizer.close(), this.inference.close()])
  }
}

function windowTokens(model: Model, wanted: number): number {
  if (wanted <= model.maxTokens) return wanted === 0 ? model.maxTokens : wanted
  throw new LabelstreamError(
    'SETTING_INVALID',
    `setting text.maxTokens is ${wanted}, but model ${model.name}@${model.version} takes at most ${model.maxTokens} tokens`,
  )
}

function scorerOf(model: Model, maxTokens: number, tokenizer: TokenizerPool, inference: Inference): Scorer {
  const { name, version, digest, labels } = model
  const decision = decisionFor(model, inference.info.precision)
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

/** Proves that this machine computes what the model's maker saw. */
async function checkGoldenTexts(model: Model, scorer: Scorer, budgetTokens: number): Promise<void> {
  const { golden } = model.manifest
  const results = await scoreTexts(
    scorer,
    golden.map(({ text }) => text),
    { budgetTokens },
  )
  const tolerance = goldenTolerance[scorer.model.precision] ?? 0.02
  for (const [index, { scores }] of results.entries()) {
    for (const [column, label] of scorer.labels.entries()) {
      const expected = golden[index]?.scores[label]
      const score = scores[column] ?? NaN
      // written so that NaN fails too
      if (expected === undefined || Math.abs(score - expected) <= tolerance) continue
      throw new LabelstreamError(
        'MODEL_CORRUPT',
        `model ${model.name}@${model.version}: golden text ${index + 1} scores ${score.toFixed(4)} for ${label}, the manifest says ${expected.toFixed(4)}`,
      )
    }
  }
}
