import { join } from 'node:path'
import { Tokenizer } from '@huggingface/tokenizers'
import { z } from 'zod'
import { sha256 } from '../core/digest.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { readFileLimited } from '../core/files.ts'
import { ReferenceBertNormalizer, ReferenceBertPreTokenizer } from './bert-normalizer.ts'
import { readSpecialTokens, tokenId } from './special-tokens.ts'
import type { SpecialTokens } from './special-tokens.ts'
import { FastWordPiece } from './word-pieces.ts'

/** Four times the largest vocabularies in use; as JSON values they fit a tokenising thread's heap. */
const maxTokenizerBytes = 64 * 1_048_576

/** From a text to token ids, without special tokens. */
export interface TextEncoder {
  readonly special: SpecialTokens
  readonly encode: (text: string) => readonly number[]
}

const tokenizerSchema = z.looseObject({
  model: z.looseObject({ type: z.string().optional() }),
  normalizer: z.looseObject({ type: z.string() }).nullish(),
  pre_tokenizer: z.looseObject({ type: z.string() }).nullish(),
  post_processor: z.looseObject({ type: z.string() }).nullish(),
  decoder: z.looseObject({ type: z.string() }).nullish(),
  added_tokens: z.array(z.looseObject({ id: tokenId, content: z.string() })).nullish(),
})
const bertNormalizerSchema = z.object({
  clean_text: z.boolean().default(true),
  handle_chinese_chars: z.boolean().default(true),
  strip_accents: z.boolean().nullable().default(null),
  lowercase: z.boolean().default(true),
})
const wordPieceSchema = z.object({
  vocab: z.record(z.string(), tokenId),
  unk_token: z.string().default('[UNK]'),
  continuing_subword_prefix: z.string().default('##'),
  max_input_chars_per_word: z.int().positive().default(100),
})

/**
 * Reads tokenizer.json and tokenizer_config.json (which may be absent) of a model folder. The truncation and
 * padding that tokenizer.json carries are not applied: windows are cut by `cutWindows`. Every file is compared with
 * its expected digest before it is parsed. Throws MODEL_CORRUPT, MODEL_UNSUPPORTED and FILE_UNREADABLE, naming the file.
 */
export async function loadTokenizer(
  folder: string,
  expectedDigests: Readonly<Record<string, string>> = {},
): Promise<TextEncoder> {
  const file = join(folder, 'tokenizer.json')
  const parsed = tokenizerSchema.safeParse(await readJson(file, expectedDigests['tokenizer.json']))
  if (!parsed.success) throw new LabelstreamError('MODEL_CORRUPT', `${file} is not a tokenizer`)
  const json = parsed.data
  const special = readSpecialTokens(json.post_processor)
  const config = await readJson(
    join(folder, 'tokenizer_config.json'),
    expectedDigests['tokenizer_config.json'],
    {},
  )
  try {
    const tokenizer = new Tokenizer(
      {
        ...json,
        normalizer: json.normalizer ?? null,
        pre_tokenizer: json.pre_tokenizer ?? null,
        decoder: json.decoder ?? null,
        added_tokens: json.added_tokens ?? [],
        // special tokens go around windows, not around the text
        post_processor: null,
      },
      config,
    )
    useReferenceParts(tokenizer, json)
    return { special, encode: (text) => tokenizer.encode(wellFormed(text)).ids }
  } catch (error) {
    throw new LabelstreamError('MODEL_UNSUPPORTED', `${file}: ${messageOf(error)}`, { cause: error })
  }
}

/** Puts our own parts where the package's differ from the reference tokenizer or are slow. */
function useReferenceParts(tokenizer: Tokenizer, json: z.infer<typeof tokenizerSchema>): void {
  if (json.normalizer?.type === 'BertNormalizer') {
    tokenizer.normalizer = new ReferenceBertNormalizer(bertNormalizerSchema.parse(json.normalizer))
  }
  if (json.pre_tokenizer?.type === 'BertPreTokenizer') {
    tokenizer.pre_tokenizer = new ReferenceBertPreTokenizer()
  }
  if (json.model.type === 'WordPiece') {
    const model = new FastWordPiece(wordPieceSchema.parse(json.model))
    for (const { content, id } of json.added_tokens ?? []) model.tokens_to_ids.set(content, id)
    tokenizer.model = model
  }
}

/** Lone surrogates as U+FFFD, as they come out of every conversion to UTF-8 and so out of the reference. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\uFFFD')
}

async function readJson(file: string, digest?: string, whenAbsent?: object): Promise<object> {
  let bytes: Buffer
  try {
    bytes = await readFileLimited(file, maxTokenizerBytes)
  } catch (error) {
    if (error instanceof LabelstreamError) throw error
    if (whenAbsent !== undefined && error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return whenAbsent
    }
    throw new LabelstreamError('FILE_UNREADABLE', `cannot read ${file}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  if (digest !== undefined && sha256(bytes) !== digest) {
    throw new LabelstreamError(
      'MODEL_CORRUPT',
      `${file} is not the file of the manifest: its SHA-256 differs`,
    )
  }
  try {
    return z.looseObject({}).parse(JSON.parse(bytes.toString('utf8')))
  } catch (error) {
    throw new LabelstreamError('MODEL_CORRUPT', `${file} is not a JSON object`, { cause: error })
  }
}
