import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { after, describe, test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { Pipeline } from '../../src/stream/pipeline.ts'
import type { InferenceResult, Scorer, ScoresToEncode } from '../../src/stream/ports.ts'
import { noMetrics } from '../support/no-metrics.ts'
import { sourceMessage } from '../support/source-message.ts'

/** A model whose batches are answered by hand, with its own number as every logit. */
class HandModel implements Scorer {
  readonly model
  readonly labels
  readonly maxTokens
  readonly knownGoodText = 'good'
  /** Batches at its inference process, oldest first. */
  readonly batches: { rows: number; answer: () => void; fail: (error: LabelstreamError) => void }[] = []
  readonly #number: number

  constructor(number: number, labels: readonly string[] = ['yes', 'no'], maxTokens = 64) {
    this.#number = number
    this.labels = labels
    this.maxTokens = maxTokens
    this.model = { name: 'hand', version: String(number), digest: `d${number}`, precision: 'fp32' }
  }

  readonly tokenizer = {
    tokenize: (texts: readonly string[]) =>
      Promise.resolve(
        texts.map((text) => ({ windows: [Int32Array.from(Buffer.from(text))], tokens: 1, truncated: false })),
      ),
  }

  readonly inference = {
    run: (windows: readonly Int32Array[]) =>
      new Promise<InferenceResult>((resolve, reject) => {
        const width = this.labels.length
        const values = new Float32Array(windows.length * width).fill(this.#number)
        this.batches.push({
          rows: windows.length,
          answer: () => {
            resolve({ values, width, seconds: 0, paddedTokens: windows.length })
          },
          fail: reject,
        })
      }),
  }

  decide(logits: Float32Array): { scores: Float32Array; decided: string[] } {
    return { scores: logits.slice(), decided: [`by ${this.#number}`] }
  }

  /** Answers everything that is or comes, until nothing came for a few turns. */
  async answerAll(): Promise<void> {
    for (let quiet = 0; quiet < 20; quiet++) {
      await nextTurn()
      const batch = this.batches.shift()
      batch?.answer()
      if (batch !== undefined) quiet = 0
    }
  }
}

const pipelines: Pipeline[] = []
// one that a failed test left behind would keep this process
after(() => Promise.allSettled(pipelines.map((pipeline) => pipeline.stop({ deadlineMs: 1 }))))

async function started(scorer: Scorer, cacheEntries = 0) {
  const events: ScoresToEncode[] = []
  const sent: string[] = []
  const scoredBy = new Map<string, number>()
  const pipeline = await Pipeline.create(
    {
      topics: { scores: 'scores', deadLetters: 'dead-letters' },
      limits: { budgetTokens: 64, maxRows: 4, maxWaitMs: 0 },
      maxInFlightBytes: 1_000_000,
      commitIntervalMs: 5,
      cacheEntries,
    },
    {
      scorer,
      metrics: {
        ...noMetrics,
        scored: (model, count) => scoredBy.set(model, (scoredBy.get(model) ?? 0) + count),
      },
      writer: {
        partitionCount: () => Promise.resolve(1),
        send: (_topic, _partition, messages) => {
          sent.push(
            ...messages.map(
              ({ value, headers }) => `${value?.toString()} ${String(headers['labelstream-model'])}`,
            ),
          )
          return Promise.resolve()
        },
      },
      formats: {
        decodeInput: (message) => ({ id: 'id', text: message.value?.toString() ?? '' }),
        encodeScores: (event) => {
          events.push(event)
          return Buffer.from(String(event.source.offset))
        },
        deadLetter: (message) => message,
      },
    },
  )
  pipelines.push(pipeline)
  await pipeline.start({
    start: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
    commit: () => Promise.resolve('committed' as const),
    rejoin: () => undefined,
    close: () => Promise.resolve(),
  })
  pipeline.handlers.assigned(1, [{ topic: 'texts', partition: 0 }])
  let next = 0
  const fetch = async (...texts: string[]): Promise<void> => {
    const messages = texts.map((text, index) => ({
      ...sourceMessage(text),
      partition: 0,
      offset: next + index,
    }))
    next += texts.length
    pipeline.handlers.records(1, {
      topic: 'texts',
      partition: 0,
      messages,
      nextOffset: next,
      highWatermark: next,
    })
    for (let turn = 0; turn < 5; turn++) await nextTurn()
  }
  return { pipeline, fetch, events, sent, scoredBy }
}

/** Whether it is settled by now. */
async function settled(promise: Promise<void>): Promise<boolean> {
  let is = false
  void promise.then(() => (is = true))
  for (let turn = 0; turn < 5; turn++) await nextTurn()
  return is
}

/** The parts of an event that say which model it is of. */
const signature = ({ model, scores, labels }: ScoresToEncode): string =>
  `${model.version} ${model.digest} ${[...scores.values].join(' ')} ${labels.join(' ')} ${scores.names.join(' ')}`

describe('Pipeline.swap', () => {
  test('a batch in flight stays with its model, and its events go out first, whoever is done first', async () => {
    const [one, two] = [new HandModel(1), new HandModel(2, ['no', 'maybe', 'yes'])]
    const { pipeline, fetch, events, sent, scoredBy } = await started(one)
    await fetch('a', 'b')
    const left = pipeline.swap(two)
    await fetch('c', 'd')
    await two.answerAll()
    assert.deepEqual(sent, [], 'what came later waits')
    assert.equal(await settled(left), false)
    await one.answerAll()
    assert.equal(await settled(left), true)
    await pipeline.stop({ deadlineMs: 1_000 })
    assert.deepEqual(sent, ['0 hand@1', '1 hand@1', '2 hand@2', '3 hand@2'])
    assert.deepEqual(events.toSorted((a, b) => a.source.offset - b.source.offset).map(signature), [
      '1 d1 1 1 by 1 yes no',
      '1 d1 1 1 by 1 yes no',
      '2 d2 2 2 2 by 2 no maybe yes',
      '2 d2 2 2 2 by 2 no maybe yes',
    ])
    assert.deepEqual(
      [...scoredBy],
      [
        ['hand@1', 2],
        ['hand@2', 2],
      ],
    )
  })

  test('what waits for a batch is scored by the model that tokenised it, without waiting for more', async () => {
    const [one, two] = [new HandModel(1), new HandModel(2)]
    const { pipeline, fetch, sent } = await started(one)
    // two batches of four are at work at most: the rest waits
    await fetch(...'abcdefghijkl')
    assert.equal(one.batches.length, 2)
    const left = pipeline.swap(two)
    await fetch('m')
    await one.answerAll()
    assert.equal(await settled(left), true)
    await two.answerAll()
    await pipeline.stop({ deadlineMs: 1_000 })
    assert.deepEqual(
      sent,
      [...'abcdefghijklm'].map((letter, offset) => `${offset} hand@${letter === 'm' ? 2 : 1}`),
    )
    assert.equal(pipeline.totals.realTokens, 13)
  })

  test('two changes in a row: each model finishes its own', async () => {
    const [one, two, three] = [new HandModel(1), new HandModel(2), new HandModel(3)]
    const { pipeline, fetch, sent } = await started(one)
    await fetch('a')
    const firstLeft = pipeline.swap(two)
    await fetch('b')
    const secondLeft = pipeline.swap(three)
    await fetch('c')
    await three.answerAll()
    await two.answerAll()
    assert.deepEqual([await settled(firstLeft), await settled(secondLeft)], [false, true])
    await one.answerAll()
    assert.equal(await settled(firstLeft), true)
    await pipeline.stop({ deadlineMs: 1_000 })
    assert.deepEqual(sent, ['0 hand@1', '1 hand@2', '2 hand@3'])
  })

  test('a model without work leaves at once', async () => {
    const { pipeline } = await started(new HandModel(1))
    assert.equal(await settled(pipeline.swap(new HandModel(2))), true)
    await pipeline.stop({ deadlineMs: 1_000 })
  })

  test('a model that does not fit the token budget is refused, and the one before it goes on', async () => {
    const one = new HandModel(1)
    const { pipeline, fetch, sent } = await started(one)
    assert.throws(() => pipeline.swap(new HandModel(2, ['x'], 65)), { code: 'SETTING_INVALID' })
    await fetch('a')
    await one.answerAll()
    await pipeline.stop({ deadlineMs: 1_000 })
    assert.deepEqual(sent, ['0 hand@1'])
  })

  test('a text that the earlier model knows is scored anew; one that waits for it follows it', async () => {
    const [one, two] = [new HandModel(1), new HandModel(2)]
    const { pipeline, fetch, sent } = await started(one, 100)
    await fetch('known')
    await one.answerAll()
    await fetch('same', 'same')
    const left = pipeline.swap(two)
    await fetch('known', 'same')
    assert.deepEqual(
      two.batches.map(({ rows }) => rows),
      [2],
    )
    await two.answerAll()
    await one.answerAll()
    assert.equal(await settled(left), true)
    await pipeline.stop({ deadlineMs: 1_000 })
    assert.deepEqual(sent, ['0 hand@1', '1 hand@1', '2 hand@1', '3 hand@2', '4 hand@2'])
  })

  test('a batch of the earlier model that fails is tried again by that model', async () => {
    const [one, two] = [new HandModel(1), new HandModel(2)]
    const { pipeline, fetch, sent } = await started(one)
    await fetch('a')
    const left = pipeline.swap(two)
    await fetch('b')
    one.batches.shift()?.fail(new LabelstreamError('INFERENCE_CRASHED', 'gone'))
    assert.equal(await settled(left), false)
    assert.equal(one.batches.length, 1)
    await one.answerAll()
    await two.answerAll()
    assert.equal(await settled(left), true)
    await pipeline.stop({ deadlineMs: 1_000 })
    assert.deepEqual(sent, ['0 hand@1', '1 hand@2'])
  })

  test('the end of an epoch and the end of the stream let go of the earlier model too', async () => {
    const [one, two, three] = [new HandModel(1), new HandModel(2), new HandModel(3)]
    const { pipeline, fetch, sent } = await started(one)
    await fetch(...'abcdefghijkl')
    const left = pipeline.swap(two)
    pipeline.handlers.revoked(1)
    assert.equal(await settled(left), false, 'two batches are still at work')
    await one.answerAll()
    assert.equal(await settled(left), true)
    pipeline.handlers.assigned(2, [{ topic: 'texts', partition: 0 }])
    const messages = [{ ...sourceMessage('a'), partition: 0, offset: 0 }]
    pipeline.handlers.records(2, { topic: 'texts', partition: 0, messages, nextOffset: 1, highWatermark: 1 })
    await settled(left)
    const neverDone = pipeline.swap(three)
    await pipeline.stop({ deadlineMs: 100 })
    assert.equal(await settled(neverDone), true)
    assert.deepEqual(sent, [])
    assert.equal(
      await settled(pipeline.swap(new HandModel(4))),
      true,
      'after the end nobody waits for anything',
    )
  })
})
