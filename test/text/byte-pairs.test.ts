import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { BPE, byteLevelAlphabet, byteLevelPreTokenizer, robertaProcessing, Tokenizer } from 'tokenizers'
import { seededRandom } from '../../src/core/random.ts'
import { loadTokenizer } from '../../src/text/tokenizer.ts'
import { hardText } from '../support/hard-texts.ts'
import { temporaryFolder } from '../support/model-folder.ts'

const specials = ['<s>', '<pad>', '</s>', '<unk>']
const merges: [string, string][] = [
  ['t', 'h'],
  ['th', 'e'],
  ['Ġ', 'a'],
  ['i', 'n'],
  ['in', 'g'],
  ['Ġ', 'the'],
  ['o', 'o'],
  ['Ġ', 'c'],
  ['Ġc', 'oo'],
  ['Ġcoo', 'k'],
  ['à', '¸'],
  ['ð', 'Ł'],
]

test('byte-level BPE with RoBERTa’s special tokens is tokenised as by the reference', async () => {
  const pieces = [...specials, ...byteLevelAlphabet().sort(), ...merges.map((pair) => pair.join(''))]
  const vocabulary = Object.fromEntries(pieces.map((piece, id) => [piece, id]))
  const reference = new Tokenizer(BPE.init(vocabulary, merges))
  reference.setPreTokenizer(byteLevelPreTokenizer(false, true))
  reference.setPostProcessor(robertaProcessing(['</s>', 2], ['<s>', 0], true, false))
  reference.addSpecialTokens(specials)
  const folder = await temporaryFolder()
  reference.save(join(folder, 'tokenizer.json'))
  await writeFile(join(folder, 'tokenizer_config.json'), '{}')

  const tokenizer = await loadTokenizer(folder)
  assert.deepEqual(tokenizer.special, { before: [0], after: [2] })
  const random = seededRandom(3)
  const texts = Array.from({ length: 1_000 }, () => hardText(random))
  const encodings = await reference.encodeBatch(texts, { addSpecialTokens: false })
  for (const [index, text] of texts.entries()) {
    assert.deepEqual([...tokenizer.encode(text)], encodings[index]?.getIds(), `text ${index}`)
  }
  assert.equal(tokenizer.encode('a'.repeat(100_000)).length, 100_000)
})
