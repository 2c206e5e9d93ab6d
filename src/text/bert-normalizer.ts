import { BertNormalizer, BertPreTokenizer } from '@huggingface/tokenizers'
import {
  chineseCharacters,
  nonspacingMarks,
  punctuation,
  removedCharacters,
  spaceCharacters,
} from './character-classes.ts'

const removed = new RegExp(`[${removedCharacters}]+`, 'gu')
const spaces = new RegExp(`[${spaceCharacters}]`, 'gu')
const marks = new RegExp(`[${nonspacingMarks}]+`, 'gu')
const chinese = new RegExp(`[${chineseCharacters}]`, 'gu')
const wordOrPunctuation = new RegExp(`[^\\p{White_Space}${punctuation}]+|[${punctuation}]`, 'gu')
/** Printable ASCII only: nothing to remove, decompose or surround. */
const plain = /^[ -~]*$/

interface BertNormalizerSettings {
  readonly clean_text?: boolean
  readonly handle_chinese_chars?: boolean
  readonly strip_accents?: boolean | null
  readonly lowercase?: boolean
}

/**
 * BertNormalizer as the reference tokenizer does it. The package's own differs: it decides by the running Node's
 * Unicode version (a mark or a punctuation sign added since 2015 splits a word there, not here), looks for Chinese
 * characters by UTF-16 unit (misses those above U+FFFF), and lower-cases a word-final capital sigma to another
 * letter than the reference, which looks at one character at a time.
 */
export class ReferenceBertNormalizer extends BertNormalizer {
  readonly #settings: BertNormalizerSettings
  readonly #stripAccents: boolean

  constructor(settings: BertNormalizerSettings) {
    super({ type: 'BertNormalizer' })
    this.#settings = settings
    this.#stripAccents = settings.strip_accents ?? settings.lowercase ?? false
  }

  override normalize(text: string): string {
    const { clean_text, handle_chinese_chars, lowercase } = this.#settings
    if (plain.test(text)) return lowercase ? text.toLowerCase() : text
    let result = text
    if (clean_text) result = result.replace(removed, '').replace(spaces, ' ')
    if (handle_chinese_chars) result = result.replace(chinese, ' $& ')
    if (this.#stripAccents) {
      // marks go before as well: sorting thousands of them on one letter takes the normaliser quadratic time
      result = result.replace(marks, '').normalize('NFD').replace(marks, '')
    }
    if (lowercase) result = result.replaceAll('Σ', 'σ').toLowerCase()
    return result
  }
}

/** BertPreTokenizer with the reference's punctuation: words and single punctuation signs, white space removed. */
export class ReferenceBertPreTokenizer extends BertPreTokenizer {
  override pre_tokenize_text(text: string): string[] {
    return text.match(wordOrPunctuation) ?? []
  }
}
