import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSpecialTokens } from '../../src/text/special-tokens.ts'

test('BertProcessing and RobertaProcessing put cls before and sep after', () => {
  for (const type of ['BertProcessing', 'RobertaProcessing']) {
    assert.deepEqual(readSpecialTokens({ type, cls: ['<s>', 0], sep: ['</s>', 2], trim_offsets: true }), {
      before: [0],
      after: [2],
    })
  }
})

test('a template may put several tokens on either side', () => {
  const template = {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '<a>', type_id: 0 } },
      { SpecialToken: { id: '<b>', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '<c>', type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      '<a>': { id: '<a>', ids: [7, 8], tokens: ['<a>', '<a>'] },
      '<b>': { id: '<b>', ids: [9], tokens: ['<b>'] },
      '<c>': { id: '<c>', ids: [10], tokens: ['<c>'] },
    },
  }
  assert.deepEqual(readSpecialTokens(template), { before: [7, 8, 9], after: [10] })
  assert.throws(() => readSpecialTokens({ ...template, special_tokens: {} }), { code: 'MODEL_CORRUPT' })
})

test('a sequence takes the tokens of its members, and none is none', () => {
  const processors = [{ type: 'ByteLevel' }, { type: 'BertProcessing', cls: ['c', 1], sep: ['s', 2] }]
  assert.deepEqual(readSpecialTokens({ type: 'Sequence', processors }), { before: [1], after: [2] })
  assert.deepEqual(readSpecialTokens(null), { before: [], after: [] })
})

test('an unknown post-processor is refused', () => {
  assert.throws(() => readSpecialTokens({ type: 'Custom' }), { code: 'MODEL_UNSUPPORTED' })
})
