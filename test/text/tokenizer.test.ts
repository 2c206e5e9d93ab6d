import assert from 'node:assert/strict'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { Tokenizer } from 'tokenizers'
import { packageRoot } from '../../src/core/paths.ts'
import { seededRandom } from '../../src/core/random.ts'
import { loadTokenizer } from '../../src/text/tokenizer.ts'
import type { TextEncoder } from '../../src/text/tokenizer.ts'
import { hardText } from '../support/hard-texts.ts'
import { temporaryFolder } from '../support/model-folder.ts'

const folder = join(packageRoot, 'models', 'minilm-l6', '1')
let ours: TextEncoder
let reference: Tokenizer

before(async () => {
  ours = await loadTokenizer(folder)
  reference = Tokenizer.fromFile(join(folder, 'tokenizer.json'))
  reference.disableTruncation()
  reference.disablePadding()
})

/** Compares ids with the reference's; fails with the first text that differs. */
async function assertSame(
  texts: readonly string[],
  encoder: TextEncoder = ours,
  referenceTokenizer: Tokenizer = reference,
): Promise<void> {
  const encodings = await referenceTokenizer.encodeBatch([...texts], { addSpecialTokens: false })
  for (const [index, text] of texts.entries()) {
    const expected = encodings[index]?.getIds()
    assert.deepEqual(
      [...encoder.encode(text)],
      expected,
      `text ${index}: ${JSON.stringify(text.slice(0, 200))}`,
    )
  }
}

test('4,000 hard texts get the same ids as from the reference tokenizer', async () => {
  const random = seededRandom(20261123)
  await assertSame(Array.from({ length: 4_000 }, () => hardText(random)))
})

test('cased models and every other way to normalise are as in the reference too', async () => {
  const json = JSON.parse(await readFile(join(folder, 'tokenizer.json'), 'utf8')) as Record<string, unknown>
  const random = seededRandom(5)
  const texts = Array.from({ length: 500 }, () => hardText(random))
  for (let combination = 0; combination < 24; combination++) {
    const normalizer = {
      type: 'BertNormalizer',
      clean_text: combination % 2 === 0,
      handle_chinese_chars: (combination >> 1) % 2 === 0,
      lowercase: (combination >> 2) % 2 === 0,
      strip_accents: [null, true, false][combination >> 3],
    }
    const other = await temporaryFolder()
    const text = JSON.stringify({ ...json, normalizer, truncation: null, padding: null })
    await writeFile(join(other, 'tokenizer.json'), text)
    await assertSame(texts, await loadTokenizer(other), Tokenizer.fromString(text))
  }
})

test('every character of Unicode gets the same ids as from the reference, inside a word and alone', async () => {
  const chunk = 16_384
  for (let start = 0; start < 0x110000; start += chunk) {
    // one text holds eight characters, each in a word and alone: a difference still names its place
    const texts = Array.from({ length: chunk / 8 }, (_, text) =>
      Array.from({ length: 8 }, (_, at) => {
        const character = String.fromCodePoint(start + text * 8 + at)
        return `a${character}b ${character}`
      }).join(' , '),
    )
    await assertSame(texts)
  }
})

test('100 KB of one letter, of one mark or of unbroken syllables are tokenised as by the reference', async () => {
  await assertSame([
    'a'.repeat(100_000),
    'a '.repeat(50_000),
    `e${'\u0301\u0316'.repeat(25_000)}`,
    '中'.repeat(33_000),
    '!'.repeat(100_000),
    Array.from({ length: 1_000 }, (_, at) => 'zqxj'.repeat(24) + String(at)).join(' '),
    '\ud83d'.repeat(50_000),
    '',
    ' \n\t ',
  ])
})

test('lone surrogates count as U+FFFD, as after a conversion to UTF-8', () => {
  assert.deepEqual(ours.encode('a\ud800b \udfff'), ours.encode('a\ufffdb \ufffd'))
})

test('the special tokens are those of the post-processor', () => {
  assert.deepEqual(ours.special, { before: [101], after: [102] })
})

test('a folder without tokenizer_config.json works, one without tokenizer.json is refused by name', async () => {
  const other = await temporaryFolder()
  await assert.rejects(loadTokenizer(other), { code: 'FILE_UNREADABLE', message: /tokenizer\.json/ })
  await copyFile(join(folder, 'tokenizer.json'), join(other, 'tokenizer.json'))
  const encoder = await loadTokenizer(other)
  assert.deepEqual(encoder.encode('hello world'), [7592, 2088])
  await writeFile(join(other, 'tokenizer.json'), '{"model":')
  await assert.rejects(loadTokenizer(other), { code: 'MODEL_CORRUPT', message: /tokenizer\.json/ })
})
