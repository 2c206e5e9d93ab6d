import type { TokenizedText } from './windows.ts'

/**
 * Many texts in one array, so that a worker hands over one buffer instead of thousands of objects. For each text:
 * tokens, truncated (0 or 1), number of windows, the length of each window, then the ids of all its windows.
 */
export function packTexts(texts: readonly TokenizedText[]): Int32Array<ArrayBuffer> {
  let size = 0
  for (const { windows } of texts) {
    size += 3 + windows.length + windows.reduce((sum, window) => sum + window.length, 0)
  }
  const packed = new Int32Array(size)
  let at = 0
  for (const { windows, tokens, truncated } of texts) {
    packed[at++] = tokens
    packed[at++] = truncated ? 1 : 0
    packed[at++] = windows.length
    for (const window of windows) packed[at++] = window.length
    for (const window of windows) {
      packed.set(window, at)
      at += window.length
    }
  }
  return packed
}

/** The texts again; their windows are views of `packed`. */
export function unpackTexts(packed: Int32Array): TokenizedText[] {
  const texts: TokenizedText[] = []
  let at = 0
  const take = (): number => packed[at++] ?? 0
  while (at < packed.length) {
    const tokens = take()
    const truncated = take() === 1
    const lengths = Array.from({ length: take() }, take)
    const windows = lengths.map((length) => packed.subarray(at, (at += length)))
    texts.push({ windows, tokens, truncated })
  }
  return texts
}
