import { WordPiece } from '@huggingface/tokenizers'

interface WordPieceSettings {
  readonly vocab: Readonly<Record<string, number>>
  readonly unk_token: string
  readonly continuing_subword_prefix: string
  readonly max_input_chars_per_word: number
}

/** Words whose pieces are remembered: most of any language's running text, and a few megabytes. */
const rememberedWords = 50_000

/** A word longer than this is not worth remembering: it will not come again. */
const rememberedWordLength = 32

/**
 * WordPiece (greedy, longest piece first), the same pieces as the package's, several times as fast: no piece longer
 * than the vocabulary's longest is tried, so that a hostile text of long words costs as little as any other, and
 * the pieces of words already seen are remembered.
 */
export class FastWordPiece extends WordPiece {
  readonly #settings: WordPieceSettings
  readonly #longestPiece: number
  #remembered = new Map<string, readonly string[]>()

  constructor(settings: WordPieceSettings) {
    super({ type: 'WordPiece', ...settings })
    this.#settings = settings
    this.#longestPiece = Object.keys(settings.vocab).reduce((most, piece) => Math.max(most, piece.length), 1)
  }

  override encode(words: string[]): string[] {
    const pieces: string[] = []
    for (const word of words) {
      for (const piece of this.#piecesOf(word)) pieces.push(piece)
    }
    return pieces
  }

  #piecesOf(word: string): readonly string[] {
    const known = this.#remembered.get(word)
    if (known !== undefined) return known
    const pieces = this.#split(word) ?? [this.#settings.unk_token]
    if (word.length <= rememberedWordLength) {
      // starting afresh is cheaper than keeping an order of use, and the common words are back at once
      if (this.#remembered.size >= rememberedWords) this.#remembered = new Map()
      this.#remembered.set(word, pieces)
    }
    return pieces
  }

  /** Undefined where the vocabulary does not cover the word. */
  #split(word: string): string[] | undefined {
    const { continuing_subword_prefix: prefix, max_input_chars_per_word: longestWord } = this.#settings
    // a character is one or two UTF-16 units: counting is needed only between the two bounds
    if (word.length > 2 * longestWord) return undefined
    if (word.length > longestWord && [...word].length > longestWord) return undefined
    const pieces: string[] = []
    let start = 0
    while (start < word.length) {
      const room = start === 0 ? this.#longestPiece : this.#longestPiece - prefix.length
      let end = Math.min(word.length, start + Math.max(1, room))
      let found: string | undefined
      while (found === undefined && end > start) {
        const piece = start === 0 ? word.slice(0, end) : prefix + word.slice(start, end)
        if (this.tokens_to_ids.has(piece)) found = piece
        else end -= 1
      }
      if (found === undefined) return undefined
      pieces.push(found)
      start = end
    }
    return pieces
  }
}
