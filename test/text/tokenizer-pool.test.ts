import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { seededRandom } from '../../src/core/random.ts'
import { loadTokenizer } from '../../src/text/tokenizer.ts'
import { TokenizerPool } from '../../src/text/tokenizer-pool.ts'
import { TokenizerThread } from '../../src/text/tokenizer-thread.ts'
import { cutWindows } from '../../src/text/windows.ts'
import { hardText } from '../support/hard-texts.ts'

const folder = join(packageRoot, 'models', 'minilm-l6', '1')
const limits = { maxTokens: 16, maxWindows: 3, strideTokens: 4 }

test('a pool of two threads answers in order what the tokenizer itself says', async () => {
  const pool = await TokenizerPool.start({ folder, threads: 2, ...limits })
  const tokenizer = await loadTokenizer(folder)
  const random = seededRandom(7)
  const texts = Array.from({ length: 200 }, () => hardText(random))
  try {
    const [all, few, none] = await Promise.all([
      pool.tokenize(texts),
      pool.tokenize(texts.slice(0, 3)),
      pool.tokenize([]),
    ])
    const expected = texts.map((text) => cutWindows(tokenizer.encode(text), limits, tokenizer.special))
    assert.deepEqual(all, expected)
    assert.deepEqual(few, expected.slice(0, 3))
    assert.deepEqual(none, [])
  } finally {
    await pool.close()
  }
  await assert.rejects(pool.tokenize(['x']), { code: 'TOKENIZER_FAILED' })
})

test('zero threads are one thread', async () => {
  const pool = await TokenizerPool.start({ folder, threads: 0, ...limits })
  const [text] = await pool.tokenize(['hello world'])
  assert.deepEqual(text?.windows, [Int32Array.of(101, 7592, 2088, 102)])
  await pool.close()
})

test('a tokenizer that was changed after its folder was verified is not parsed', async () => {
  const wrong = { 'tokenizer.json': '0'.repeat(64) }
  const start = TokenizerPool.start({ folder, threads: 1, expectedDigests: wrong, ...limits })
  await assert.rejects(start, { code: 'MODEL_CORRUPT', message: /tokenizer\.json.*SHA-256/ })
})

test('a thread that ends under its work rejects it', async () => {
  const thread = new TokenizerThread({ folder, ...limits })
  await thread.ready
  const lost = [thread.tokenize(['lost '.repeat(20_000)]), thread.tokenize(['x'])]
  const outcome = Promise.all(lost.map((work) => assert.rejects(work, { code: 'TOKENIZER_FAILED' })))
  await thread.close()
  await outcome
  assert.equal(thread.ended, true)
  assert.equal(thread.outstandingTexts, 0)
  await assert.rejects(thread.tokenize(['x']), { code: 'TOKENIZER_FAILED' })
})

test('a pool puts another thread in the place of one that ran out of memory', async () => {
  const pool = await TokenizerPool.start({ folder, threads: 1, ...limits })
  try {
    await assert.rejects(pool.tokenize(['abc '.repeat(8_000_000)]), { code: 'TOKENIZER_FAILED' })
    const [text] = await pool.tokenize(['hello world'])
    assert.equal(text?.tokens, 2)
  } finally {
    await pool.close()
  }
})

test('a folder without a tokenizer and impossible windows are refused at the start', async () => {
  await assert.rejects(TokenizerPool.start({ folder: packageRoot, threads: 1, ...limits }), {
    code: 'FILE_UNREADABLE',
  })
  await assert.rejects(TokenizerPool.start({ folder, threads: 2, ...limits, strideTokens: 14 }), {
    code: 'SETTING_INVALID',
  })
})
