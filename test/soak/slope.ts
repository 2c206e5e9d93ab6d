/** How fast something grows, with the 95 % interval of that. */
export interface Slope {
  readonly perHour: number
  readonly low: number
  readonly high: number
  /** Samples that it was computed from. */
  readonly samples: number
}

export interface Point {
  readonly hours: number
  readonly value: number
}

/**
 * Least squares. Memory is sampled more often than it changes, so neighbours tell the same: the interval is that of
 * n (1 - r) / (1 + r) independent samples, r the correlation of neighbouring residuals (Bartlett 1946, for a
 * first-order process). Undefined for fewer than 4 points.
 */
export function slopeOf(points: readonly Point[]): Slope | undefined {
  const n = points.length
  if (n < 4) return undefined
  const meanX = points.reduce((sum, { hours }) => sum + hours, 0) / n
  const meanY = points.reduce((sum, { value }) => sum + value, 0) / n
  const spread = points.reduce((sum, { hours }) => sum + (hours - meanX) ** 2, 0)
  if (spread === 0) return undefined
  const perHour =
    points.reduce((sum, { hours, value }) => sum + (hours - meanX) * (value - meanY), 0) / spread
  const residuals = points.map(({ hours, value }) => value - meanY - perHour * (hours - meanX))
  const squares = residuals.reduce((sum, residual) => sum + residual ** 2, 0)
  const neighbours = residuals
    .slice(1)
    .reduce((sum, residual, index) => sum + residual * (residuals[index] ?? 0), 0)
  const r = squares === 0 ? 0 : Math.min(0.99, Math.max(0, neighbours / squares))
  const independent = Math.max(3, (n * (1 - r)) / (1 + r))
  const error = Math.sqrt(squares / spread / (independent - 2))
  // of a normal distribution; with few independent samples it is a little narrow
  const margin = 1.96 * error
  return { perHour, low: perHour - margin, high: perHour + margin, samples: n }
}
