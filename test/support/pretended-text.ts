import fc from 'fast-check'

/**
 * One message to be made. A text's value is `LENGTH:WINDOWS:NUMBER` and its logits follow from NUMBER; `poison:` kills
 * the inference process, `bad:` cannot be decoded. `gap`: offsets before it that hold no message.
 */
export interface PretendedText {
  readonly kind: 'text' | 'long' | 'poison' | 'badInput' | 'tombstone'
  readonly gap: number
}

/** Mostly short texts; poison with this weight of about fifty. */
export const textKind = (poison: number): fc.Arbitrary<PretendedText['kind']> =>
  fc.oneof(
    { weight: 40, arbitrary: fc.constant('text' as const) },
    { weight: 5, arbitrary: fc.constant('long' as const) },
    { weight: poison, arbitrary: fc.constant('poison' as const) },
    { weight: 2, arbitrary: fc.constant('badInput' as const) },
    { weight: 2, arbitrary: fc.constant('tombstone' as const) },
  )

/** What its message holds; null for a tombstone. */
export function valueOf(text: PretendedText, number: number, length: number): Buffer | null {
  switch (text.kind) {
    case 'text':
      return Buffer.from(`${length}:1:${number}`)
    case 'long':
      return Buffer.from(`${length}:3:${number}`)
    case 'poison':
      return Buffer.from(`poison:${number}`)
    case 'badInput':
      return Buffer.from(`bad:${number}`)
    case 'tombstone':
      return null
  }
}
