import type { ModelConfig } from '../encoders/config.ts'
import type { ConcreteProvider } from './messages.ts'

/** What one thread's share of the widest activation may take: with its neighbours it stays in a core's own cache. */
const activationBytes = 768 * 1024
/** Fewer rows a thread than this, and the weights are read from memory too often. */
const fewestTokens = 64

/**
 * How many padded tokens go through the session at once; a batch of more is cut into tiles. On a CPU the activations
 * of the layer in the middle, [tokens, intermediate size], decide: once they fall out of the core's own cache, all
 * that stands between the matrix products waits for memory. A graphics processor takes the whole batch.
 */
export function tileTokens(config: ModelConfig, provider: ConcreteProvider, threads: number): number {
  if (provider !== 'cpu') return Infinity
  const tokens = Math.floor(activationBytes / (config.intermediateSize * Float32Array.BYTES_PER_ELEMENT))
  // one thread alone gets as much as two: below that the cost of a call shows
  return Math.max(fewestTokens, tokens) * Math.max(2, threads)
}
