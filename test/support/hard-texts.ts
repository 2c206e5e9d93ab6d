import type { Random } from '../../src/core/random.ts'

const ranges: readonly (readonly [number, number])[] = [
  [0x20, 0x7e], // ASCII
  [0x20, 0x7e],
  [0x00, 0x1f], // control characters
  [0x7f, 0xff],
  [0x100, 0x24f], // Latin with diacritics
  [0x300, 0x36f], // combining marks
  [0x370, 0x3ff], // Greek
  [0x400, 0x4ff], // Cyrillic
  [0x590, 0x5ff], // Hebrew
  [0x600, 0x6ff], // Arabic
  [0x900, 0x97f], // Devanagari
  [0xe00, 0xe7f], // Thai
  [0x1100, 0x11ff], // Hangul jamo
  [0x1e00, 0x1fff], // Latin and Greek, precomposed
  [0x2000, 0x206f], // spaces, zero-width, direction marks, punctuation
  [0x2e00, 0x2e7f], // punctuation of later Unicode versions
  [0x3000, 0x30ff], // CJK punctuation, kana
  [0x3400, 0x9fff], // Chinese
  [0xac00, 0xd7a3], // Hangul
  [0xd800, 0xdfff], // surrogates, mostly lone ones
  [0xe000, 0xf8ff], // private use
  [0xf900, 0xfaff],
  [0xfe00, 0xffff], // variation selectors, half-width forms, U+FEFF, U+FFFD
  [0x10000, 0x1ffff],
  [0x1f300, 0x1faff], // emoji
  [0x20000, 0x2fa1f], // Chinese above U+FFFF
  [0xe0000, 0xe01ef], // tags
]

const pieces: readonly string[] = [
  'The cooking advice is unbelievably good. ',
  "don't won't it's ",
  '3.14159 1,000,000 ',
  'ΟΔΥΣΣΕΥΣ ΣΑΣ σας ',
  'İstanbul ıI ß ẞ ŉ ǰ ',
  '[CLS] [SEP] [MASK] [PAD] [UNK] [cls] ',
  '👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪 ',
  'e\u0301 n\u0303 a\u0308\u0323 ',
  'https://example.com/a_b?c=d&e=%20f ',
  '\ud800 \udc00 \ud83d ',
  '\u200b\u200d\u200f\ufeff',
  'x'.repeat(101),
  'ab'.repeat(50),
  '##ing ## #',
  '\r\n\t\v\f\u0085\u00a0',
  '中文字符 日本語テキスト 한국어 ',
  'ภาษาไทย हिन्दी العربية עברית ',
]

/** A text that a tokenizer may stumble over: random characters of one or many scripts among ordinary pieces. */
export function hardText(random: Random): string {
  const parts: string[] = []
  const count = 1 + random.integer(12)
  const script = random.integer(ranges.length)
  const mixed = random.next() < 0.5
  for (let part = 0; part < count; part++) {
    if (random.next() < 0.35) {
      parts.push(pieces[random.integer(pieces.length)] ?? '')
      continue
    }
    const [from, to] = ranges[mixed ? random.integer(ranges.length) : script] ?? [0x61, 0x7a]
    const length = 1 + random.integer(10)
    for (let at = 0; at < length; at++) parts.push(String.fromCodePoint(from + random.integer(to - from + 1)))
    if (random.next() < 0.5) parts.push(' ')
  }
  return parts.join('')
}
