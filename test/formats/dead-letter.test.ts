import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { deadLetter, deadLetterReason, replayedMessage } from '../../src/formats/dead-letter.ts'
import type { MessageHeaders } from '../../src/formats/message.ts'
import { sourceMessage } from '../support/source-message.ts'

const error = new LabelstreamError('INPUT_NOT_UTF8', 'the value is not valid UTF-8')

/** Headers with their values as text, in lists. */
const readable = (headers: MessageHeaders): Record<string, string[]> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value ?? []].flat().map(String)]))

test('a dead letter keeps key, value bytes and headers, and says why under the names of Kafka Connect', () => {
  const message = sourceMessage(Buffer.from([0xff, 0x00]), {
    key: Buffer.from([0xfe]),
    headers: { traceparent: Buffer.from('00-1'), twice: [Buffer.from('a'), 'b'] },
  })
  const letter = deadLetter(message, 'input', error)
  assert.equal(letter.key, message.key)
  assert.equal(letter.value, message.value)
  assert.deepEqual(readable(letter.headers), {
    traceparent: ['00-1'],
    twice: ['a', 'b'],
    '__connect.errors.topic': ['texts'],
    '__connect.errors.partition': ['3'],
    '__connect.errors.offset': ['42'],
    '__connect.errors.stage': ['input'],
    '__connect.errors.class.name': ['labelstream.input'],
    '__connect.errors.exception.class.name': ['INPUT_NOT_UTF8'],
    '__connect.errors.exception.message': ['the value is not valid UTF-8'],
  })
  assert.deepEqual(deadLetterReason(letter.headers), {
    topic: 'texts',
    partition: 3,
    offset: 42,
    stage: 'input',
    code: 'INPUT_NOT_UTF8',
    message: 'the value is not valid UTF-8',
  })
})

test('a letter that dies again keeps its first reason before the new one', () => {
  const first = deadLetter(sourceMessage('x'), 'input', error)
  const again = deadLetter(
    sourceMessage('x', { topic: 'retried', partition: 0, offset: 7, headers: first.headers }),
    'inference',
    new LabelstreamError('TEXT_NOT_SCORABLE', 'inference fails for this text'),
  )
  assert.deepEqual(readable(again.headers)['__connect.errors.topic'], ['texts', 'retried'])
  assert.equal(deadLetterReason(again.headers)?.code, 'TEXT_NOT_SCORABLE')
  assert.equal(deadLetterReason(first.headers)?.code, 'INPUT_NOT_UTF8')
})

test('a replay takes off one reason, so that a letter does not grow each time it dies', () => {
  const message = sourceMessage('x', {
    key: Buffer.from('k'),
    headers: { own: 'h', '__connect.errors.topic': Buffer.from('of an earlier system') },
  })
  const letter = sourceMessage('x', { ...message, ...deadLetter(message, 'input', error) })
  const replayed = replayedMessage(letter)
  assert.deepEqual(readable(replayed.headers), {
    own: ['h'],
    '__connect.errors.topic': ['of an earlier system'],
  })
  assert.equal(replayed.key, letter.key)
  assert.equal(replayed.value, letter.value)
})

test('headers that are not those of a dead letter give no reason', () => {
  assert.equal(deadLetterReason({}), undefined)
  assert.equal(
    deadLetterReason({ '__connect.errors.topic': 'texts', '__connect.errors.offset': 'x' }),
    undefined,
  )
})
