import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, test } from 'node:test'
import { waitUntil } from '../../src/core/clock.ts'
import { LabelstreamError } from '../../src/core/errors.ts'
import type { OutgoingMessage, Position, SourceMessage } from '../../src/formats/message.ts'
import { Pipeline } from '../../src/stream/pipeline.ts'
import type { PipelineOptions, PipelinePorts } from '../../src/stream/pipeline-options.ts'
import type {
  FormatPorts,
  InferencePort,
  ReaderPort,
  Scorer,
  ScoresToEncode,
  WriterPort,
} from '../../src/stream/ports.ts'
import { noMetrics } from '../support/stream-world.ts'

const options: PipelineOptions = {
  topics: { scores: 'scores', deadLetters: 'dead-letters' },
  limits: { budgetTokens: 64, maxRows: 8, maxWaitMs: 1 },
  maxInFlightBytes: 1_000_000,
  commitIntervalMs: 5,
}

interface Parts {
  readonly options?: Partial<PipelineOptions>
  readonly formats?: Partial<FormatPorts>
  readonly inference?: InferencePort
  readonly writer?: Partial<WriterPort>
  readonly reader?: Partial<ReaderPort>
  readonly metrics?: Partial<PipelinePorts['metrics']>
  /** Partitions assigned at the start. */
  readonly partitions?: number
}

/** A pipeline whose fetches are made by hand; texts are one token a letter. */
async function started(parts: Parts = {}) {
  const sent: { topic: string; partition: number; message: OutgoingMessage }[] = []
  const events: ScoresToEncode[] = []
  const commits: Position[] = []
  const calls: string[] = []
  const scorer: Scorer = {
    model: { name: 'advice', version: '3', digest: 'd', precision: 'fp32' },
    labels: ['yes', 'no'],
    maxTokens: 64,
    knownGoodText: 'good',
    tokenizer: {
      tokenize: (texts) =>
        Promise.resolve(
          texts.map((text) => ({
            windows: [Int32Array.from(Buffer.from(text))],
            tokens: text.length,
            truncated: false,
          })),
        ),
    },
    inference: parts.inference ?? { run: (windows) => Promise.resolve(resultOf(windows)) },
    decide: (logits) => ({ scores: logits.slice(), decided: ['yes'] }),
  }
  const pipeline = await Pipeline.create(
    { ...options, ...parts.options },
    {
      scorer,
      metrics: { ...noMetrics, ...parts.metrics },
      random: () => 0,
      writer: {
        partitionCount: () => Promise.resolve(3),
        send: (topic, partition, messages) => {
          for (const message of messages) sent.push({ topic, partition, message })
          return Promise.resolve()
        },
        ...parts.writer,
      },
      formats: {
        decodeInput: (message) => ({ id: 'id', text: message.value?.toString() ?? '' }),
        encodeScores: (event) => {
          events.push(event)
          return Buffer.from(event.eventId)
        },
        deadLetter: (message, stage, error) => ({
          key: message.key,
          value: message.value,
          headers: { stage, code: error.code },
        }),
        ...parts.formats,
      },
    },
  )
  await pipeline.start({
    start: () => undefined,
    pause: () => calls.push('pause'),
    resume: () => calls.push('resume'),
    commit: (_epoch, offsets) => {
      commits.push(...offsets)
      return Promise.resolve('committed' as const)
    },
    rejoin: (epoch) => calls.push(`rejoin ${epoch}`),
    close: () => {
      calls.push('close')
      return Promise.resolve()
    },
    ...parts.reader,
  })
  const { handlers } = pipeline
  const partitions = Array.from({ length: parts.partitions ?? 1 }, (_, partition) => ({
    topic: 'texts',
    partition,
  }))
  handlers.assigned(1, partitions)
  const fetch = (texts: readonly (string | null)[], from = 0, partition = 0, epoch = 1): void => {
    const messages = texts.map((text, index) => messageOf(text, partition, from + index))
    const end = from + texts.length
    handlers.records(epoch, { topic: 'texts', partition, messages, nextOffset: end, highWatermark: end })
  }
  const end = async (offset: number, partition = 0): Promise<void> => {
    await pipeline.untilEnd([{ topic: 'texts', partition, offset }])
    await pipeline.stop({ deadlineMs: 1_000 })
  }
  return { pipeline, handlers, sent, events, commits, calls, fetch, end }
}

function messageOf(text: string | null, partition: number, offset: number): SourceMessage {
  return {
    topic: 'texts',
    partition,
    offset,
    timestampMs: 77,
    key: Buffer.from('key'),
    value: text === null ? null : Buffer.from(text),
    headers: offset % 2 === 0 ? {} : { traceparent: 'kept' },
  }
}

function resultOf(windows: readonly Int32Array[]) {
  const longest = Math.max(...windows.map((window) => window.length))
  const values = new Float32Array(windows.length * 2).fill(0.25)
  return { values, width: 2, seconds: 0.001, paddedTokens: windows.length * longest }
}

const until = (condition: () => boolean): Promise<void> =>
  waitUntil(condition, { timeoutMs: 10_000, everyMs: 2, onTimeout: () => new Error('it never happened') })

const hasCode = (code: string) => (error: unknown) => error instanceof LabelstreamError && error.code === code

describe('Pipeline', () => {
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

  test('refuses a token budget that one window can exceed', async () => {
    await assert.rejects(
      started({ options: { limits: { ...options.limits, budgetTokens: 32 } } }),
      hasCode('SETTING_INVALID'),
    )
  })
})
