import { type Matrix, matrix } from '../evaluation/matrix.ts'
import { InferencePool, type InferencePoolOptions } from '../runtime/inference-pool.ts'
import { runSorted } from '../runtime/sorted-run.ts'
import { TokenizerPool } from '../text/tokenizer-pool.ts'
import type { WindowLimits } from '../text/windows.ts'

/** How texts go through an encoder. */
export interface TextRunnerOptions extends Pick<
  InferencePoolOptions,
  | 'provider'
  | 'precision'
  | 'autoOnCpu'
  | 'graph'
  | 'graphFolder'
  | 'processes'
  | 'threads'
  | 'deadlineMs'
  | 'signal'
  | 'onRestart'
  | 'onLog'
> {
  readonly tokenizerThreads: number
  /** Most padded tokens in one batch of `run`. */
  readonly budgetTokens: number
  readonly maxWindows: number
  readonly strideTokens: number
}

/** Good on a CPU, and in fp32: what training and evaluation compare is not to depend on rounding. */
export const defaultTextRunner: TextRunnerOptions = {
  provider: 'cpu',
  precision: 'fp32',
  threads: 0,
  deadlineMs: 60_000,
  tokenizerThreads: 1,
  budgetTokens: 1_024,
  maxWindows: 4,
  strideTokens: 32,
}

/** How texts are cut into windows of at most `maxTokens`; neighbours of short windows share less than they are told. */
export const servedWindows = (
  maxTokens: number,
  { maxWindows, strideTokens }: Pick<TextRunnerOptions, 'maxWindows' | 'strideTokens'>,
): WindowLimits => ({
  maxTokens,
  maxWindows,
  strideTokens: Math.min(strideTokens, Math.floor((maxTokens - 2) / 2)),
})

export interface TextRows {
  /** `[texts, width]`; of several windows of a text, the maximum of each number. */
  readonly values: Matrix
  /** Tokens of all texts, without padding and without the overlap of windows. */
  readonly tokens: number
  /** Texts of which a part was cut off. */
  readonly truncated: number
}

/** A folder's encoder and tokenizer, ready to turn many texts into rows of numbers. */
export class TextRunner {
  readonly inference: InferencePool
  readonly tokenizer: TokenizerPool
  readonly #budgetTokens: number

  private constructor(inference: InferencePool, tokenizer: TokenizerPool, budgetTokens: number) {
    this.inference = inference
    this.tokenizer = tokenizer
    this.#budgetTokens = budgetTokens
  }

  /** Throws what InferencePool.start and TokenizerPool.start throw; then neither is left running. */
  static async start(
    model: {
      readonly folder: string
      readonly fileDigests: Readonly<Record<string, string>>
      readonly maxTokens: number
    },
    output: InferencePoolOptions['output'],
    options: TextRunnerOptions = defaultTextRunner,
  ): Promise<TextRunner> {
    const { folder, fileDigests, maxTokens } = model
    const { tokenizerThreads, maxWindows, strideTokens, budgetTokens, ...inferenceOptions } = options
    const starting = await Promise.allSettled([
      TokenizerPool.start({
        folder,
        expectedDigests: fileDigests,
        threads: tokenizerThreads,
        ...servedWindows(maxTokens, { maxWindows, strideTokens }),
      }),
      InferencePool.start({ ...inferenceOptions, folder, output, expectedDigests: fileDigests }),
    ])
    const [tokenizer, inference] = starting
    if (tokenizer.status === 'fulfilled' && inference.status === 'fulfilled') {
      return new TextRunner(inference.value, tokenizer.value, budgetTokens)
    }
    for (const part of starting) if (part.status === 'fulfilled') await part.value.close()
    throw tokenizer.status === 'rejected' ? tokenizer.reason : (inference as PromiseRejectedResult).reason
  }

  /** One row a text, in order. `onProgress` hears how many of the windows are done. Throws what Inference.run throws. */
  async run(
    texts: readonly string[],
    onProgress?: (done: number, total: number) => void,
  ): Promise<TextRows> {
    const tokenized = await this.tokenizer.tokenize(texts)
    const windows = tokenized.flatMap((text) => text.windows)
    const rows = await runSorted(this.inference, windows, {
      budgetTokens: this.#budgetTokens,
      onProgress: (done) => onProgress?.(done, windows.length),
    })
    const width = this.inference.info.width
    const values = new Float32Array(texts.length * width).fill(-Infinity)
    let window = 0
    tokenized.forEach((text, place) => {
      for (let count = 0; count < text.windows.length; count++) {
        poolMaximum(values.subarray(place * width, (place + 1) * width), rows[window] ?? new Float32Array())
        window++
      }
    })
    return {
      values: matrix(texts.length, width, values),
      tokens: tokenized.reduce((sum, text) => sum + text.tokens, 0),
      truncated: tokenized.filter((text) => text.truncated).length,
    }
  }

  /** Ends the inference processes and the tokenising threads. */
  async close(): Promise<void> {
    await Promise.all([this.inference.close(), this.tokenizer.close()])
  }
}

/** Raises `pooled` to the maximum of itself and `row`, number by number: how windows of one text are joined. */
export function poolMaximum(pooled: Float32Array, row: Float32Array): void {
  for (let column = 0; column < pooled.length; column++) {
    pooled[column] = Math.max(pooled[column] ?? -Infinity, row[column] ?? -Infinity)
  }
}
