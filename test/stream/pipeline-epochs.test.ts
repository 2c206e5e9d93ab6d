import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { messageOf, resultOf, started, until } from '../support/pipeline.ts'

test('commits one past the last message and counts what it did', async () => {
  const { pipeline, commits, fetch, end } = await started({
    formats: {
      decodeInput: ({ value }) => {
        if (value?.toString() === 'bad') throw new LabelstreamError('INPUT_BAD_JSON', 'no')
        return value?.toString() === 'nothing' ? { skip: 'empty' } : { id: 'x', text: String(value) }
      },
    },
  })
  fetch(['a', null, 'bad', 'nothing', 'b'])
  await end(5)
  assert.equal(commits.at(-1)?.offset, 5)
  const { consumed, scored, deadLettered, skipped, realTokens } = pipeline.totals
  assert.deepEqual(
    { consumed, scored, deadLettered, skipped, realTokens },
    { consumed: 5, scored: 2, deadLettered: 1, skipped: 2, realTokens: 2 },
  )
})

test('is at the end at once when nothing is left to read', async () => {
  const { commits, fetch, end } = await started()
  fetch([], 12)
  await end(12)
  assert.deepEqual(
    commits.map(({ offset }) => offset),
    [12],
  )
})

test('publishes and commits nothing of an epoch that has ended', async () => {
  const answers: (() => void)[] = []
  const { handlers, sent, commits, fetch, pipeline } = await started({
    inference: {
      run: (windows) =>
        new Promise((resolve) =>
          answers.push(() => {
            resolve(resultOf(windows))
          }),
        ),
    },
  })
  fetch(['a', 'b'])
  await until(() => answers.length > 0)
  handlers.revoked(1)
  handlers.assigned(2, [{ topic: 'texts', partition: 0 }])
  fetch(['late'], 2, 0, 1)
  for (const answer of answers) answer()
  await pipeline.stop({ deadlineMs: 1_000 })
  assert.deepEqual(sent, [])
  assert.deepEqual(commits, [])
  assert.equal(pipeline.inFlightBytes, 0)
})

test('does not score what waited for a batch when its epoch ended', async () => {
  const batches: number[] = []
  const { handlers, fetch, end } = await started({
    options: { limits: { budgetTokens: 64, maxRows: 8, maxWaitMs: 1_000_000 }, inflightBatches: 1 },
    inference: {
      run: (windows) => {
        batches.push(windows.length)
        return Promise.resolve(resultOf(windows))
      },
    },
  })
  const behind = { topic: 'texts', partition: 0, nextOffset: 2, highWatermark: 1_000 }
  handlers.records(1, { ...behind, messages: [messageOf('a', 0, 0), messageOf('b', 0, 1)] })
  // Tokenised by now, and held back because the partition has more.
  for (let turn = 0; turn < 5; turn++) await nextTurn()
  handlers.revoked(1)
  handlers.assigned(2, [{ topic: 'texts', partition: 0 }])
  fetch(['c'], 0, 0, 2)
  await end(1)
  assert.deepEqual(batches, [1])
})

test('commits an offset once', async () => {
  const { commits, fetch, pipeline, end } = await started({ options: { commitIntervalMs: 1 } })
  fetch(['a'])
  await until(() => commits.length > 0)
  await pipeline.untilEnd([{ topic: 'texts', partition: 0, offset: 1 }])
  await end(1)
  assert.deepEqual(
    commits.map(({ offset }) => offset),
    [1],
  )
})

test('commits what is finished while its partitions are taken away', async () => {
  const { handlers, commits, fetch, pipeline } = await started({ options: { commitIntervalMs: 1_000_000 } })
  fetch(['a', 'b'])
  await until(() => pipeline.totals.scored === 2)
  handlers.revoked(1)
  assert.deepEqual(
    commits.map(({ offset }) => offset),
    [2],
  )
  await pipeline.stop({ deadlineMs: 1_000 })
})

test('ends though no commit is ever answered, before it ends and at the end', async () => {
  const asked: number[] = []
  const { fetch, pipeline } = await started({
    options: { commitIntervalMs: 1 },
    reader: {
      commit: (epoch) => {
        asked.push(epoch)
        return new Promise(() => undefined)
      },
    },
  })
  fetch(['a'])
  await until(() => asked.length > 0)
  await pipeline.stop({ deadlineMs: 1_000 })
  assert.equal(pipeline.totals.scored, 1)
})

test('does not keep a new assignment waiting for what an old one asked the registry', async () => {
  let registryIsDown = true
  const { handlers, pipeline, fetch, end } = await started({
    formats: {
      decodeInput: ({ value }) =>
        registryIsDown
          ? Promise.reject(new LabelstreamError('REGISTRY_UNREACHABLE', 'no answer'))
          : { id: 'x', text: String(value) },
    },
    metrics: { retried: () => (registryIsDown = false) },
  })
  fetch(['a'])
  await until(() => !registryIsDown)
  handlers.revoked(1)
  handlers.assigned(2, [{ topic: 'texts', partition: 0 }])
  fetch(['a'], 0, 0, 2)
  await end(1)
  assert.equal(pipeline.totals.scored, 1)
})
