import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogFields, Logger } from '../../src/telemetry/log.ts'
import { RetryLog } from '../../src/telemetry/retry-log.ts'

test('what is tried again is said at once, then twice a minute for each code', () => {
  const said: [string, LogFields | undefined][] = []
  const silent = (): void => undefined
  const log: Logger = {
    debug: silent,
    info: silent,
    warn: (message, fields) => said.push([message, fields]),
    error: silent,
  }
  let now = 0
  const retries = new RetryLog(log, () => now)
  for (now = 0; now <= 60_000; now += 10_000) retries.retried('TOPIC_MISSING', 'topic x does not exist')
  retries.retried('BROKER_ERROR', 'writing to y/0')
  assert.deepEqual(said, [
    ['trying again: topic x does not exist', { code: 'TOPIC_MISSING' }],
    ['trying again: topic x does not exist', { code: 'TOPIC_MISSING', times: 3 }],
    ['trying again: topic x does not exist', { code: 'TOPIC_MISSING', times: 3 }],
    ['trying again: writing to y/0', { code: 'BROKER_ERROR' }],
  ])
})
