import { LabelstreamError } from '../core/errors.ts'
import type { SpecialTokens } from './special-tokens.ts'

/** One text, ready for the encoder. */
export interface TokenizedText {
  /** Token ids with special tokens around each window, in the text's order. Never empty: an empty text has one. */
  readonly windows: readonly Int32Array[]
  /** Tokens of the text that stand in some window, each counted once, without special tokens. */
  readonly tokens: number
  /** The text had more tokens than all windows together hold. */
  readonly truncated: boolean
}

/** How texts become windows. */
export interface WindowLimits {
  /** Longest window, special tokens included. */
  readonly maxTokens: number
  /** 1 cuts a long text off after the first window. */
  readonly maxWindows: number
  /** Tokens that a window repeats from the one before it. */
  readonly strideTokens: number
}

/** Throws SETTING_INVALID where windows could not move forward. */
export function checkWindowLimits(limits: WindowLimits, special: SpecialTokens): void {
  const room = limits.maxTokens - special.before.length - special.after.length
  const invalid = (what: string): LabelstreamError => new LabelstreamError('SETTING_INVALID', what)
  if (room < 1)
    throw invalid(`a window of ${limits.maxTokens} tokens has no room for text beside special tokens`)
  if (limits.maxWindows < 1) throw invalid('a text needs at least one window')
  if (limits.strideTokens < 0 || (limits.maxWindows > 1 && limits.strideTokens >= room)) {
    throw invalid(
      `windows of ${room} tokens of text cannot overlap by ${limits.strideTokens}: take less than ${room}`,
    )
  }
}

/** Windows over the ids of one text; neighbours share `strideTokens` ids, the last one may be shorter. */
export function cutWindows(
  ids: readonly number[],
  limits: WindowLimits,
  special: SpecialTokens,
): TokenizedText {
  const room = limits.maxTokens - special.before.length - special.after.length
  const windows: Int32Array[] = []
  let covered = 0
  do {
    const start = windows.length === 0 ? 0 : covered - limits.strideTokens
    const end = Math.min(ids.length, start + room)
    windows.push(windowOf(ids, start, end, special))
    covered = end
  } while (covered < ids.length && windows.length < limits.maxWindows)
  return { windows, tokens: covered, truncated: covered < ids.length }
}

function windowOf(ids: readonly number[], start: number, end: number, special: SpecialTokens): Int32Array {
  const window = new Int32Array(special.before.length + end - start + special.after.length)
  window.set(special.before)
  for (let index = start; index < end; index++)
    window[special.before.length + index - start] = ids[index] ?? 0
  window.set(special.after, special.before.length + end - start)
  return window
}
