/** What a tokenizer may consist of; tokenizer.json is the one that is read, the others are for transformers. */
export const tokenizerFileNames: readonly string[] = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'vocab.txt',
  'vocab.json',
  'merges.txt',
]
