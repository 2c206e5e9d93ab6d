/**
 * The learning rate of a step, counted from 0: linear warm-up over `warmupSteps`, then linear decay towards 0 at
 * `totalSteps`.
 */
export function learningRateAt(
  step: number,
  { peak, warmupSteps, totalSteps }: { peak: number; warmupSteps: number; totalSteps: number },
): number {
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps
  return peak * Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmupSteps))
}

/** A 32-bit seed for one purpose, derived from the run's seed and up to two counters, so that resuming is exact. */
export function derivedSeed(
  seed: number,
  purpose: 'initial' | 'order' | 'dropout' | 'tokens',
  ...counters: number[]
): number {
  const start = { initial: 0x9e3779b1, order: 0x85ebca77, dropout: 0xc2b2ae3d, tokens: 0x27d4eb2f }[purpose]
  return [seed, ...counters].reduce((mixed, value) => {
    const product = Math.imul(mixed ^ value, 0x27d4eb2f)
    return Math.imul(product ^ (product >>> 15), 0x165667b1) ^ (product >>> 13)
  }, start)
}

/**
 * The share of the peak rate at a step, counted from 1: linear warm-up, then linear or cosine (Loshchilov and
 * Hutter 2017, one period) decay towards 0 after `totalSteps`.
 */
export function scheduleShare(
  step: number,
  { decay, warmup, totalSteps }: { decay: 'linear' | 'cosine'; warmup: number; totalSteps: number },
): number {
  const warmupSteps = Math.round(totalSteps * warmup)
  const linear = learningRateAt(step - 1, { peak: 1, warmupSteps, totalSteps })
  if (decay === 'linear' || step <= warmupSteps) return linear
  return (1 - Math.cos(Math.PI * linear)) / 2
}
