import { openModel } from '../models/folder.ts'
import { sortedBatches } from '../runtime/sorted-run.ts'
import type { Settings } from '../settings/catalogue.ts'
import { Serving } from '../stream/serving.ts'
import type { CommandContext } from './command.ts'
import { modelsFolderOf } from './models-folder.ts'
import { streamServingOptionsOf } from './serving-options.ts'

const triedBudgetsTokens = [256, 512, 1_024, 2_048, 4_096]
const trialTexts = 1_000
const productRepetitions = 15

export interface SessionFigures {
  readonly textsPerSecond: number
  readonly paddedTokensPerSecond: number
  readonly budgetTokens: number
  /** Multiply-adds of the encoder's linear layers by the second, padding included. */
  readonly multiplyAddsPerSecond: number
  /** The same products with nothing between them, over batches of the same size. */
  readonly productsMultiplyAddsPerSecond: number
  readonly processes: number
  /** Of each process. */
  readonly threads: number
  readonly provider: string
  readonly precision: string
}

/**
 * All texts through the inference processes of a stream and nothing else: tokenised before the clock starts, sorted by
 * exact length, in batches of the budget that was fastest on a sample.
 */
export async function bareSession(
  context: CommandContext,
  settings: Settings,
  texts: readonly string[],
): Promise<SessionFigures> {
  const model = await openModel(settings.model, modelsFolderOf(settings))
  const serving = await Serving.start(model, streamServingOptionsOf(settings, context.log, model))
  try {
    await serving.inference.warm()
    const tokenized = await serving.scorer.tokenizer.tokenize(texts)
    const windows = tokenized.flatMap((text) => text.windows)
    const sample = everyNth(windows, Math.max(1, Math.floor(windows.length / trialTexts)))
    const measure = async (items: readonly Int32Array[], budgetTokens: number) => {
      const batches = sortedBatches(
        items.map(({ length }) => length),
        budgetTokens,
      )
      return serving.inference.measure(
        batches.map((batch) => batch.map((index) => items[index] ?? new Int32Array())),
      )
    }
    let best = { budgetTokens: 0, seconds: Infinity }
    for (const budgetTokens of triedBudgetsTokens) {
      const { seconds } = await measure(sample, budgetTokens)
      if (seconds < best.seconds) best = { budgetTokens, seconds }
    }
    const { seconds, paddedTokens } = await measure(windows, best.budgetTokens)
    const products = await serving.inference.measureProducts(best.budgetTokens, productRepetitions)
    const { processes, threads } = serving.inference
    const { provider, precision } = serving.inference.info
    return {
      textsPerSecond: texts.length / seconds,
      paddedTokensPerSecond: paddedTokens / seconds,
      budgetTokens: best.budgetTokens,
      multiplyAddsPerSecond: (paddedTokens / seconds) * products.multiplyAddsPerToken,
      productsMultiplyAddsPerSecond: products.multiplyAdds / products.seconds,
      processes,
      threads,
      provider,
      precision,
    }
  } finally {
    await serving.close()
  }
}

const everyNth = <T>(items: readonly T[], step: number): T[] =>
  items.filter((_item, index) => index % step === 0)
