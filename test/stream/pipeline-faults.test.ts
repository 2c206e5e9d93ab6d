import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { hasCode, resultOf, started, until } from '../support/pipeline.ts'

test('a text that cannot be scored is tried for each of its messages, and all are dead letters', async () => {
  const { fetch, end, sent } = await started({
    options: { cacheEntries: 100 },
    inference: {
      run: (batch) =>
        batch.some((window) => window.length === 6)
          ? Promise.reject(new LabelstreamError('INFERENCE_CRASHED', 'gone'))
          : Promise.resolve(resultOf(batch)),
    },
  })
  fetch(['poison', 'poison', 'fine', 'poison'])
  await end(4)
  assert.deepEqual(sent.map(({ topic }) => topic).sort(), [
    'dead-letters',
    'dead-letters',
    'dead-letters',
    'scores',
  ])
})

test('waits for the registry and dead-letters nothing for it', async () => {
  let faults = 2
  const retried: string[] = []
  const { sent, fetch, end } = await started({
    metrics: { retried: (code) => retried.push(code) },
    formats: {
      decodeInput: async ({ value }) => {
        await Promise.resolve()
        if (faults-- > 0) throw new LabelstreamError('REGISTRY_UNREACHABLE', 'no answer')
        return { id: 'x', text: String(value) }
      },
    },
  })
  fetch(['a'])
  await end(1)
  assert.deepEqual(retried, ['REGISTRY_UNREACHABLE', 'REGISTRY_UNREACHABLE'])
  assert.deepEqual(
    sent.map(({ topic }) => topic),
    ['scores'],
  )
})

test('dead-letters the one text that kills inference, in its place in the order', async () => {
  const { sent, fetch, end } = await started({
    inference: {
      run: (windows) =>
        windows.some((window) => window[0] === 'P'.charCodeAt(0))
          ? Promise.reject(new LabelstreamError('INFERENCE_CRASHED', 'gone'))
          : Promise.resolve(resultOf(windows)),
    },
  })
  fetch(['aaa', 'bbb', 'Poison', 'ccc'])
  await end(4)
  const letters = sent.filter(({ topic }) => topic === 'dead-letters')
  assert.equal(letters.length, 1)
  assert.equal(letters[0]?.message.value?.toString(), 'Poison')
  assert.deepEqual(letters[0].message.headers, { stage: 'inference', code: 'TEXT_NOT_SCORABLE' })
  assert.deepEqual(
    sent.filter(({ topic }) => topic === 'scores').map(({ message }) => message.value?.toString()),
    ['texts/0/0', 'texts/0/1', 'texts/0/3'],
  )
})

test('stops with the fault of inference, and dead-letters nothing, when good texts fail too', async () => {
  const { pipeline, sent, commits, calls, fetch } = await started({
    inference: { run: () => Promise.reject(new LabelstreamError('INFERENCE_HUNG', 'no answer')) },
  })
  fetch(['a', 'b', 'c'])
  await assert.rejects(pipeline.finished, hasCode('INFERENCE_HUNG'))
  assert.deepEqual(sent, [])
  assert.deepEqual(commits, [])
  assert.ok(calls.includes('close'))
})

test('takes scores that are not numbers for a fault of inference, not of the text', async () => {
  const { pipeline, sent, fetch } = await started({
    inference: {
      run: (windows) => {
        const result = resultOf(windows)
        result.values.fill(NaN)
        return Promise.resolve(result)
      },
    },
  })
  fetch(['a'])
  await assert.rejects(pipeline.finished, hasCode('INFERENCE_FAILED'))
  assert.deepEqual(sent, [])
})

test('fails with what the writer refuses, and commits only what was durable before', async () => {
  let sends = 0
  const { pipeline, commits, fetch } = await started({
    writer: {
      send: () =>
        sends++ === 0
          ? Promise.resolve()
          : Promise.reject(new LabelstreamError('ACCESS_DENIED', 'topic scores: no')),
    },
  })
  fetch(['a'])
  await until(() => pipeline.totals.scored === 1)
  fetch(['b'], 1)
  await assert.rejects(pipeline.finished, hasCode('ACCESS_DENIED'))
  assert.equal(commits.at(-1)?.offset, 1)
  await assert.rejects(pipeline.stop({ deadlineMs: 10 }), hasCode('ACCESS_DENIED'))
})

test('halves a send that the topic finds too large', async () => {
  const sizes: number[] = []
  const { pipeline, fetch, end } = await started({
    writer: {
      send: (_topic, _partition, messages) => {
        sizes.push(messages.length)
        return messages.length > 2
          ? Promise.reject(new LabelstreamError('RECORD_TOO_LARGE', 'too large'))
          : Promise.resolve()
      },
    },
  })
  fetch(['a', 'b', 'c', 'd'])
  await end(4)
  assert.equal(pipeline.totals.scored, 4)
  assert.deepEqual(sizes, [4, 2, 2])
})

test('stops at its deadline when inference does not answer, and leaves the rest uncommitted', async () => {
  const { pipeline, commits, calls, fetch } = await started({
    inference: { run: () => new Promise(() => undefined) },
  })
  fetch(['a'])
  await pipeline.stop({ deadlineMs: 20 })
  await pipeline.finished
  assert.deepEqual(commits, [])
  assert.deepEqual(calls, ['pause', 'close'])
})

test('fails when the commit is refused', async () => {
  const { pipeline, fetch } = await started({
    reader: { commit: () => Promise.reject(new LabelstreamError('ACCESS_DENIED', 'group: no')) },
  })
  fetch(['a'])
  await assert.rejects(pipeline.finished, hasCode('ACCESS_DENIED'))
})
