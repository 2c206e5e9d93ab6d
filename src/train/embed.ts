import { type Matrix, matrix } from '../evaluation/matrix.ts'
import type { EncoderFolder } from '../models/folder.ts'
import { TextRunner, type TextRunnerOptions } from '../models/text-runner.ts'
import { EmbeddingCache } from './embedding-cache.ts'
import { checkInterrupted } from './progress.ts'

export interface Embedded {
  /** `[texts, hidden]` */
  readonly embeddings: Matrix
  /** Real tokens that went through the encoder; 0 when everything was cached. */
  readonly tokens: number
  readonly peakMemoryBytes: number
}

/**
 * The pooled vectors of texts by a frozen encoder, from the cache where it has them. Of a long text, the first
 * window counts: a head is trained on vectors of one window each.
 */
export async function embedTexts(
  encoder: EncoderFolder & { readonly hiddenSize: number; readonly maxTokens: number },
  texts: readonly string[],
  options: {
    readonly cacheFolder: string
    readonly runner: TextRunnerOptions
    readonly onProgress?: (done: number, total: number) => void
    readonly signal?: AbortSignal
  },
): Promise<Embedded> {
  const { provider, precision } = options.runner
  const identity = `${encoder.digest} mean ${encoder.maxTokens} ${provider} ${precision}`
  const cache = await EmbeddingCache.open(options.cacheFolder, identity, encoder.hiddenSize)
  const missing = [...new Set(texts)].filter((text) => cache.get(text) === undefined)
  let tokens = 0
  let peakMemoryBytes = 0
  if (missing.length > 0) {
    const runner = await TextRunner.start(encoder, 'embedding', { ...options.runner, maxWindows: 1 })
    const abort = (): void => void runner.close()
    options.signal?.addEventListener('abort', abort, { once: true })
    try {
      checkInterrupted(options.signal)
      const rows = await runner.run(missing, options.onProgress)
      tokens = rows.tokens
      peakMemoryBytes = runner.inference.memory.peakBytes
      missing.forEach((text, row) => {
        cache.set(text, rows.values.values.slice(row * encoder.hiddenSize, (row + 1) * encoder.hiddenSize))
      })
    } catch (error) {
      checkInterrupted(options.signal)
      throw error
    } finally {
      options.signal?.removeEventListener('abort', abort)
      await runner.close()
    }
    await cache.save()
  }
  const values = new Float32Array(texts.length * encoder.hiddenSize)
  texts.forEach((text, row) => {
    values.set(cache.get(text) ?? [], row * encoder.hiddenSize)
  })
  return { embeddings: matrix(texts.length, encoder.hiddenSize, values), tokens, peakMemoryBytes }
}
