import { type Matrix, matrix } from '../evaluation/matrix.ts'
import type { EncoderFolder } from '../models/folder.ts'
import { type TextRows, TextRunner, type TextRunnerOptions } from '../models/text-runner.ts'
import { cachePath, readCached, writeCached } from './embedding-cache.ts'
import { workUntilInterrupted } from './progress.ts'

export interface Embedded {
  /** `[texts, hidden]` */
  readonly embeddings: Matrix
  /** Real tokens that went through the encoder; 0 when the embeddings were cached. */
  readonly tokens: number
  readonly peakMemoryBytes: number
}

export interface EmbedOptions {
  readonly cacheFolder: string
  readonly runner: TextRunnerOptions
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

type Encoder = EncoderFolder & { readonly hiddenSize: number; readonly maxTokens: number }

/**
 * The pooled vectors of texts by a frozen encoder, from the cache where it has this list. Of a long text, the
 * first window counts: a head is trained on vectors of one window each.
 * Throws what inference throws, FILE_UNREADABLE for the cache, INTERRUPTED.
 */
export async function embedTexts(
  encoder: Encoder,
  texts: readonly string[],
  options: EmbedOptions,
): Promise<Embedded> {
  const { provider, precision, threads, budgetTokens } = options.runner
  const identity = [encoder.digest, encoder.maxTokens, provider, precision, threads, budgetTokens].join(' ')
  const path = cachePath(options.cacheFolder, identity, texts)
  const cached = await readCached(path, texts.length * encoder.hiddenSize)
  if (cached !== undefined) {
    return { embeddings: matrix(texts.length, encoder.hiddenSize, cached), tokens: 0, peakMemoryBytes: 0 }
  }
  const { rows, peakMemoryBytes } = await encode(encoder, texts, options)
  await writeCached(options.cacheFolder, path, rows.values.values)
  return { embeddings: rows.values, tokens: rows.tokens, peakMemoryBytes }
}

async function encode(
  encoder: Encoder,
  texts: readonly string[],
  { runner, onProgress, signal }: EmbedOptions,
): Promise<{ rows: TextRows; peakMemoryBytes: number }> {
  const encoding = await TextRunner.start(encoder, 'embedding', { ...runner, maxWindows: 1 })
  return workUntilInterrupted(encoding, signal, async () => {
    const rows = await encoding.run(texts, onProgress)
    return { rows, peakMemoryBytes: encoding.inference.memory.peakBytes }
  })
}
