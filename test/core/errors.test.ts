import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asLabelstreamError, LabelstreamError } from '../../src/core/errors.ts'

test('a message is one line of text, whatever a file or a parser put into it', () => {
  const { message } = new LabelstreamError('DATA_INVALID', 'name "a\r\n\tb\u001b[31mc\u2028d"\n')
  assert.equal(message, 'name "a b [31mc d" ')
})

test('a message is cut where it would fill a page', () => {
  const { message } = new LabelstreamError('DATA_INVALID', 'x'.repeat(100_000))
  assert.equal(message.length, 1_501)
  assert.ok(message.endsWith('x…'))
})

test('anything thrown becomes an error of ours, and one of ours stays itself', () => {
  const own = new LabelstreamError('TOPIC_MISSING', 'gone')
  assert.equal(asLabelstreamError(own), own)
  const foreign = asLabelstreamError(new TypeError('two\nlines'))
  assert.equal(foreign.code, 'INTERNAL')
  assert.equal(foreign.message, 'two lines')
})
