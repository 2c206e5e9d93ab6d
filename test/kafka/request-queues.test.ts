import assert from 'node:assert/strict'
import type { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { connectKafka } from '../../src/kafka/connect.ts'

interface Queue extends EventEmitter {
  checkPendingRequests(): void
  push(request: {
    readonly entry: {
      readonly correlationId: number
      readonly reject: () => void
      readonly resolve: () => void
    }
    readonly expectResponse: boolean
    readonly sendRequest: () => void
  }): void
  fulfillRequest(answer: {
    readonly correlationId: number
    readonly payload: Buffer
    readonly size: number
  }): void
  maybeThrottle(milliseconds: number): void
  destroy(): void
}

const RequestQueue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as new (
  options: object,
) => Queue

const noLog = { debug: () => undefined, warn: () => undefined, error: () => undefined }

/** A queue as kafkajs makes one for each connection, with our client about; `checks` counts how often it looks. */
function newQueue(maxInFlightRequests: number): { queue: Queue; checks: () => number } {
  connectKafka({ brokers: ['127.0.0.1:1'], clientId: 'test' })
  const queue = new RequestQueue({
    maxInFlightRequests,
    requestTimeout: 30_000,
    enforceRequestTimeout: false,
    clientId: 'test',
    broker: '127.0.0.1:1',
    logger: noLog,
  })
  let checks = 0
  const check = queue.checkPendingRequests.bind(queue)
  queue.checkPendingRequests = () => {
    checks++
    check()
  }
  return { queue, checks: () => checks }
}

const request = (correlationId: number, sendRequest: () => void) => ({
  entry: { correlationId, reject: () => undefined, resolve: () => undefined },
  expectResponse: true,
  sendRequest,
})

const answer = (correlationId: number) => ({ correlationId, payload: Buffer.alloc(0), size: 0 })

test('a queue with nothing in it is left alone', async () => {
  const { queue, checks } = newQueue(5)
  const warnings: string[] = []
  const hear = ({ name }: Error): number => warnings.push(name)
  process.on('warning', hear)
  queue.push(request(1, () => undefined))
  queue.fulfillRequest(answer(1))
  await delay(200)
  process.off('warning', hear)
  queue.destroy()
  assert.equal(checks(), 1)
  assert.deepEqual(warnings, [])
})

test('what waits for an answer to another, or for the end of a throttling, is sent', async () => {
  const { queue } = newQueue(1)
  const sent: number[] = []
  const push = (id: number): void => {
    queue.push(request(id, () => sent.push(id)))
  }
  push(1)
  push(2)
  assert.deepEqual(sent, [1])
  queue.fulfillRequest(answer(1))
  assert.deepEqual(sent, [1, 2])
  queue.fulfillRequest(answer(2))
  queue.maybeThrottle(50)
  push(3)
  assert.deepEqual(sent, [1, 2])
  while (sent.length < 3) await delay(10)
  assert.deepEqual(sent, [1, 2, 3])
  queue.destroy()
})
