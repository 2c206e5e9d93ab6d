import type { ModelConfig } from '../encoders/config.ts'
import type { ConcreteProvider } from './messages.ts'

/** What one thread's share of the widest activation may take: with its neighbours it about stays in a core's own cache. */
const activationBytes = 1_536 * 1024
/** Fewer rows a thread than this, and the weights are read from memory too often. */
const fewestTokens = 128

/**
 * How many padded tokens go through the session at once; a batch of more is cut into tiles. On a CPU the activations
 * of the layer in the middle, [tokens, intermediate size], decide: once they fall out of the core's own cache, all
 * that stands between the matrix products waits for memory; with too few, several threads wait for each other more than
 * they compute. A graphics processor takes the whole batch.
 */
export function tileTokens(config: ModelConfig, provider: ConcreteProvider, threads: number): number {
  if (provider !== 'cpu') return Infinity
  const tokens = Math.floor(activationBytes / (config.intermediateSize * Float32Array.BYTES_PER_ELEMENT))
  return Math.max(fewestTokens, tokens) * threads
}
