import { type Model, openModel } from '../models/folder.ts'
import { sortedBatches } from '../runtime/sorted-run.ts'
import type { Settings } from '../settings/catalogue.ts'
import type { TokenizedWindows } from '../stream/ports.ts'
import { Serving, type ServingOptions } from '../stream/serving.ts'
import type { CommandContext } from './command.ts'
import { modelsFolderOf } from './models-folder.ts'
import { processPlanOf, servingOptionsOf } from './serving-options.ts'

const triedBudgetsTokens = [256, 512, 1_024, 2_048, 4_096]
const trialTexts = 1_000
const trialRounds = 3
const productRepetitions = 15

/** What inference does with nothing around it. */
export interface BareFigures {
  readonly textsPerSecond: number
  readonly paddedTokensPerSecond: number
  readonly budgetTokens: number
  /** Multiply-adds of the encoder's linear layers by the second, padding included. */
  readonly multiplyAddsPerSecond: number
  /** The encoder's matrix products with nothing between them, in the same processes, over batches of the same size. */
  readonly productsMultiplyAddsPerSecond: number
  readonly processes: number
  /** Of each process. */
  readonly threads: number
}

export interface SessionFigures {
  /** One session with all threads. */
  readonly session: BareFigures
  /** As many processes and threads as the stream has. */
  readonly asServed: BareFigures
  readonly provider: string
  readonly precision: string
  readonly graph: string
}

/** All texts through one session, and then through as many as the stream has, with nothing beside them. */
export async function bareSession(
  context: CommandContext,
  settings: Settings,
  texts: readonly string[],
): Promise<SessionFigures> {
  const model = await openModel(settings.model, modelsFolderOf(settings))
  const plan = await processPlanOf(settings, context.log, model)
  const served = { ...servingOptionsOf(settings, context.log), ...plan }
  const one = { ...served, processes: 1, threads: served.processes * served.threads }
  const { tokenized, ...first } = await withServing(model, one, async ({ inference, scorer }) => {
    const tokenized = await scorer.tokenizer.tokenize(texts)
    const { provider, precision, graph } = inference.info
    return { session: await measured(inference, tokenized), tokenized, provider, precision, graph }
  })
  if (served.processes === 1) return { ...first, asServed: first.session }
  const asServed = await withServing(model, served, ({ inference }) => measured(inference, tokenized))
  return { ...first, asServed }
}

async function withServing<T>(
  model: Model,
  options: ServingOptions,
  work: (serving: Serving) => Promise<T>,
): Promise<T> {
  const serving = await Serving.start(model, options)
  try {
    await serving.inference.warm()
    return await work(serving)
  } finally {
    await serving.close()
  }
}

/** Texts sorted by exact length, in batches of the token budget that was fastest on a sample. */
async function measured(
  inference: Serving['inference'],
  texts: readonly TokenizedWindows[],
): Promise<BareFigures> {
  const windows = texts.flatMap((text) => text.windows)
  const sample = everyNth(windows, Math.max(1, Math.floor(windows.length / trialTexts)))
  const measure = async (items: readonly Int32Array[], budgetTokens: number) => {
    const batches = sortedBatches(
      items.map(({ length }) => length),
      budgetTokens,
    )
    return inference.measure(batches.map((batch) => batch.map((index) => items[index] ?? new Int32Array())))
  }
  let best = { budgetTokens: 0, rate: 0 }
  // The best of interleaved rounds: other work on the machine only ever takes away. Padded tokens count, because all of the
  // texts need less padding than a sample of them.
  for (let round = 0; round < trialRounds; round++) {
    for (const budgetTokens of triedBudgetsTokens) {
      const { seconds, paddedTokens } = await measure(sample, budgetTokens)
      if (paddedTokens / seconds > best.rate) best = { budgetTokens, rate: paddedTokens / seconds }
    }
  }
  const { seconds, paddedTokens } = await measure(windows, best.budgetTokens)
  const products = await inference.measureProducts(best.budgetTokens, productRepetitions)
  const { processes, threads } = inference
  return {
    textsPerSecond: texts.length / seconds,
    paddedTokensPerSecond: paddedTokens / seconds,
    budgetTokens: best.budgetTokens,
    multiplyAddsPerSecond: (paddedTokens / seconds) * products.multiplyAddsPerToken,
    productsMultiplyAddsPerSecond: products.multiplyAdds / products.seconds,
    processes,
    threads,
  }
}

const everyNth = <T>(items: readonly T[], step: number): T[] =>
  items.filter((_item, index) => index % step === 0)
