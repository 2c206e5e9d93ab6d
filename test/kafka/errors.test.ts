import assert from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { LabelstreamError } from '../../src/core/errors.ts'
import { kafkaError, protocolErrorType } from '../../src/kafka/errors.ts'

const context = { brokers: ['a:1', 'b:2'], doing: 'reading texts', topic: 'texts', group: 'scorers' }
const protocol = (type: string): Error =>
  new kafkajs.KafkaJSProtocolError(
    Object.assign(new Error(`it is ${type}`), { type, code: 1, retriable: false }),
  )

const rows: readonly [string, RegExp, unknown][] = [
  ['ACCESS_DENIED', /texts/, protocol('TOPIC_AUTHORIZATION_FAILED')],
  ['ACCESS_DENIED', /scorers/, protocol('GROUP_AUTHORIZATION_FAILED')],
  ['TOPIC_MISSING', /texts.*labelstream topics create/, protocol('UNKNOWN_TOPIC_OR_PARTITION')],
  ['AUTHENTICATION_FAILED', /kafka\.sasl/, protocol('SASL_AUTHENTICATION_FAILED')],
  ['RECORD_TOO_LARGE', /max\.message\.bytes/, protocol('MESSAGE_TOO_LARGE')],
  ['REQUEST_REFUSED', /INVALID_RECORD/, protocol('INVALID_RECORD')],
  ['BROKER_ERROR', /NOT_ENOUGH_REPLICAS/, protocol('NOT_ENOUGH_REPLICAS')],
  ['BROKER_UNREACHABLE', /a:1, b:2/, new kafkajs.KafkaJSConnectionError('connect ECONNREFUSED')],
  ['TLS_FAILED', /caFile/, Object.assign(new Error('self signed'), { code: 'SELF_SIGNED_CERT_IN_CHAIN' })],
  ['BROKER_ERROR', /undefined is not/, new TypeError('undefined is not an object')],
  ['BROKER_ERROR', /plain/, 'plain'],
]

for (const [code, message, error] of rows) {
  test(`${code}: ${message.source}`, () => {
    const own = kafkaError(error, context)
    assert.equal(own.code, code)
    assert.match(own.message, message)
    assert.doesNotMatch(own.message, /\n/)
    assert.equal(own.cause, error)
  })
}

test('the cause is found below the errors that kafkajs wraps around it', () => {
  const inner = protocol('TOPIC_AUTHORIZATION_FAILED')
  const wrapped = Object.assign(new Error('retries exceeded'), {
    cause: Object.assign(new Error('x'), { cause: inner }),
  })
  assert.equal(kafkaError(wrapped, context).code, 'ACCESS_DENIED')
  assert.equal(protocolErrorType(wrapped), 'TOPIC_AUTHORIZATION_FAILED')
  const several = new kafkajs.KafkaJSAggregateError('several', [inner])
  assert.equal(kafkaError(several, context).code, 'ACCESS_DENIED')
})

test('an error of ours passes unchanged', () => {
  const own = new LabelstreamError('INTERRUPTED', 'closed')
  assert.equal(kafkaError(own, context), own)
})
