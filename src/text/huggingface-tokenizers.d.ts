/**
 * The part of @huggingface/tokenizers that is used here. Its own types cannot be read under NodeNext (their relative
 * imports lack extensions).
 */
declare module '@huggingface/tokenizers' {
  export class Tokenizer {
    constructor(tokenizer: object, config: object)
    normalizer: Normalizer | null
    pre_tokenizer: PreTokenizer | null
    model: TokenizerModel | null
    encode(text: string, options?: { add_special_tokens?: boolean }): { ids: number[]; tokens: string[] }
  }

  export abstract class Normalizer {
    constructor(config: object)
    abstract normalize(text: string): string
  }
  export class BertNormalizer extends Normalizer {
    normalize(text: string): string
  }

  export abstract class PreTokenizer {
    abstract pre_tokenize_text(text: string): string[]
  }
  export class BertPreTokenizer extends PreTokenizer {
    pre_tokenize_text(text: string): string[]
  }

  export abstract class TokenizerModel {
    constructor(config: object)
    readonly tokens_to_ids: Map<string, number>
    abstract encode(words: string[]): string[]
  }
  export class WordPiece extends TokenizerModel {
    encode(words: string[]): string[]
  }
}
