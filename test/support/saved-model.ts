import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../src/core/paths.ts'
import { temporaryFolder } from './model-folder.ts'

const words = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  'hello',
  'world',
  'bread',
  'code',
  'red',
  'blue',
  'one',
  'two',
]

const tokenizer = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: words.slice(0, 4).map((content, id) => ({
    id,
    special: true,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  })),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: { type: 'BertProcessing', cls: ['[CLS]', 2], sep: ['[SEP]', 3] },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(words.map((word, id) => [word, id])),
  },
}

/**
 * A folder with a classifier of two small layers and three labels as transformers saves it, and a tokenizer of a
 * dozen words.
 */
export async function savedModel(changes: object = {}): Promise<string> {
  const folder = join(await temporaryFolder(), 'saved')
  await cp(join(packageRoot, 'test', 'fixtures', 'bert', 'tiny-gelu'), folder, { recursive: true })
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer))
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as object
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, ...changes }))
  return folder
}
