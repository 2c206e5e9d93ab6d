/** Raises `pooled` to the maximum of itself and `logits`, label by label: how windows of one text are joined. */
export function poolMaximum(pooled: Float32Array, logits: Float32Array): void {
  for (let label = 0; label < pooled.length; label++) {
    pooled[label] = Math.max(pooled[label] ?? -Infinity, logits[label] ?? -Infinity)
  }
}
