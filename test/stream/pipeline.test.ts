import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'node:test'
import { hasCode, pipelineOptions, resultOf, started, until } from '../support/pipeline.ts'

test('scores identical texts once, and gives each message its own event in its place', async () => {
  let windows = 0
  let hits = 0
  const { fetch, end, events, sent } = await started({
    options: { cacheEntries: 100 },
    metrics: { cacheHit: () => hits++ },
    inference: {
      run: (batch) => {
        windows += batch.length
        return Promise.resolve(resultOf(batch))
      },
    },
  })
  fetch(['same', 'other', 'same'])
  fetch(['same', 'new'], 3)
  await end(5)
  assert.equal(windows, 3)
  assert.equal(hits, 2)
  assert.deepEqual(
    sent.map(({ message }) => message.value?.toString()),
    [0, 1, 2, 3, 4].map((offset) => `texts/0/${offset}`),
  )
  assert.deepEqual(events.map(({ tokens, windows: count }) => [tokens, count]).sort(), [
    [3, 1],
    [4, 1],
    [4, 1],
    [4, 1],
    [5, 1],
  ])
})

test('keeps key and headers, adds the model, and says where the event is from', async () => {
  const { sent, events, fetch, end } = await started({ partitions: 6 })
  for (const partition of [0, 1, 2, 3, 5]) fetch([], 0, partition)
  fetch(['even', 'odd'], 0, 4)
  await end(2, 4)
  assert.deepEqual(
    sent.map(({ topic, partition }) => `${topic}/${partition}`),
    ['scores/1', 'scores/1'],
  )
  assert.equal(sent[1]?.message.key?.toString(), 'key')
  assert.equal(sent[1].message.value?.toString(), 'texts/4/1')
  assert.equal(sent[1].message.headers['traceparent'], 'kept')
  assert.equal(sent[1].message.headers['labelstream-model']?.toString(), 'advice@3')
  assert.deepEqual(Object.keys(sent[0]?.message.headers ?? {}), ['labelstream-model'])
  const event = events.find(({ eventId }) => eventId === 'texts/4/1')
  assert.deepEqual(event?.source, { topic: 'texts', partition: 4, offset: 1, timestamp: 77 })
  assert.deepEqual(event?.scores, { names: ['yes', 'no'], values: Float32Array.of(0.25, 0.25) })
  assert.equal(event?.tokens, 3)
})

test('pauses at the byte limit and resumes when half of it is free', async () => {
  const release: (() => void)[] = []
  const { pipeline, calls, fetch, end } = await started({
    options: { maxInFlightBytes: 5_000 },
    writer: { send: () => new Promise((resolve) => release.push(resolve)) },
  })
  fetch(Array.from({ length: 20 }, () => 'text'))
  assert.deepEqual(calls, ['pause'])
  assert.ok(pipeline.inFlightBytes > 5_000)
  const finished = end(20)
  while (pipeline.totals.scored < 20) {
    await until(() => release.length > 0)
    for (const each of release.splice(0)) each()
    await until(() => release.length > 0 || pipeline.totals.scored === 20)
  }
  await finished
  assert.deepEqual(calls, ['pause', 'resume', 'pause', 'close'])
  assert.equal(pipeline.inFlightBytes, 0)
})

test('keeps every inference process at work, and holds nothing back for a batch while one is idle', async () => {
  for (const processes of [1, 2]) {
    const answers: (() => void)[] = []
    const { fetch, end } = await started({
      options: { limits: { budgetTokens: 64, maxRows: 1, maxWaitMs: 1_000_000 }, inflightBatches: 1 },
      inference: {
        processes,
        run: (windows) =>
          new Promise((resolve) =>
            answers.push(() => {
              resolve(resultOf(windows))
            }),
          ),
      },
    })
    fetch(['a', 'b', 'c', 'd'])
    for (let turn = 0; turn < 5; turn++) await nextTurn()
    assert.equal(answers.length, processes)
    for (let answered = 0; answered < 4; answered++) {
      await until(() => answers.length > answered)
      answers[answered]?.()
    }
    await end(4)
  }
})

test('refuses a token budget that one window can exceed', async () => {
  await assert.rejects(
    started({ options: { limits: { ...pipelineOptions.limits, budgetTokens: 32 } } }),
    hasCode('SETTING_INVALID'),
  )
})
