import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LabelstreamError } from '../../src/core/errors.ts'
import type { OutgoingMessage, Position, SourceMessage } from '../../src/formats/message.ts'
import type {
  FormatPorts,
  IntakeHandlers,
  PipelineMetrics,
  ReaderPort,
  Scorer,
  TransactionPort,
  WriterPort,
} from '../../src/stream/ports.ts'
import type { Random } from '../../src/core/random.ts'

/** The labels of a version: not every version has the same. */
const labelsOf = (version: number): readonly string[] =>
  version % 2 === 0 ? ['a', 'b', 'c'] : ['b', 'c', 'd', 'e']
/** How far apart the logits of two versions are: more than those of two texts. */
const versionStep = 1_000_000

/**
 * One message to be made. A text's value is `LENGTH:WINDOWS:NUMBER` and its logits follow from NUMBER; `poison:` kills
 * the inference process, `bad:` cannot be decoded. `gap`: offsets before it that hold no message.
 */
export interface PretendedText {
  readonly kind: 'text' | 'long' | 'poison' | 'badInput' | 'tombstone'
  readonly gap: number
}

interface Outcome {
  readonly partition: number
  readonly offset: number
  /** Of scores. */
  readonly version?: number
  readonly kind: 'score' | 'dead'
  /** Of the consumer. */
  readonly generation: number
}

/** Kafka, in memory: one input topic, what was written, what was committed. Checks promises as they are made. */
export class StreamWorld {
  readonly log: SourceMessage[][] = []
  readonly ends: number[] = []
  readonly committed: number[] = []
  /** Every acknowledged outcome: input partition, offset, which topic, by which model, in which generation. */
  readonly outcomes: Outcome[] = []
  readonly #acknowledged: Set<number>[] = []
  readonly random: Random
  generation = 0
  readonly #sending = new Set<string>()

  /** `different`: so few texts of each kind there are, if not one a message. */
  constructor(partitions: readonly (readonly PretendedText[])[], random: Random, different?: number) {
    this.random = random
    partitions.forEach((texts, partition) => {
      let offset = 0
      const messages = texts.map((text): SourceMessage => {
        offset += text.gap
        return {
          topic: 'texts',
          partition,
          offset: offset++,
          timestampMs: 1_000,
          key: Buffer.from(`k${offset}`),
          value:
            different === undefined
              ? valueOf(text, partition * 100_000 + offset, 3 + random.integer(60))
              : valueOf(text, offset % different, 3 + (offset % different)),
          headers: offset % 2 === 0 ? { kept: 'yes' } : {},
        }
      })
      this.log.push(messages)
      // One control record behind the last message.
      this.ends.push(offset + (messages.length > 0 ? 1 : 0))
      this.committed.push(0)
      this.#acknowledged.push(new Set())
    })
  }

  get endOffsets(): Position[] {
    return this.ends.map((offset, partition) => ({ topic: 'texts', partition, offset }))
  }

  /** A few turns of the event loop. */
  async pass(most: number): Promise<void> {
    for (let turns = this.random.integer(most + 1); turns > 0; turns--) await nextTurn()
  }

  readonly writer: WriterPort = {
    partitionCount: () => Promise.resolve(2),
    send: async (topic, partition, messages) => {
      const sources = messages.map((message) => sourceOf(message))
      const first = sources[0]
      assert.ok(first !== undefined, 'an empty send')
      assert.equal(partition, first.partition % 2)
      const generation = this.generation
      const lane = `${generation}/${topic}/${first.partition}`
      assert.ok(!this.#sending.has(lane), 'two sends of one input partition at once')
      this.#sending.add(lane)
      await this.pass(4)
      this.#sending.delete(lane)
      for (const source of sources) {
        assert.equal(source.partition, first.partition)
        this.outcomes.push({ ...source, kind: topic === 'scores' ? 'score' : 'dead', generation })
        this.#acknowledged[source.partition]?.add(source.offset)
      }
    },
  }

  /** Transactions of two lanes; one that its epoch does not live to see is aborted, and now and then a lane is lost. */
  readonly transactions: TransactionPort = {
    laneOf: (partition) => partition % 2,
    partitionCount: () => Promise.resolve(2),
    settle: () => this.pass(2),
    transact: async (epoch, lane, batches, positions) => {
      if (epoch !== this.generation) return 'stale'
      const key = `${epoch}/${lane}`
      assert.ok(!this.#sending.has(key), 'two transactions of one lane at once')
      this.#sending.add(key)
      await this.pass(6)
      this.#sending.delete(key)
      if (epoch !== this.generation || this.random.next() < 0.03) return 'stale'
      for (const { topic, partition, messages } of batches) {
        assert.ok(messages.length > 0, 'an empty batch')
        for (const source of messages.map((message) => sourceOf(message))) {
          assert.equal(source.partition % 2, lane)
          assert.equal(partition, source.partition % 2)
          this.outcomes.push({ ...source, kind: topic === 'scores' ? 'score' : 'dead', generation: epoch })
          this.#acknowledged[source.partition]?.add(source.offset)
        }
      }
      for (const position of positions) {
        assert.equal(position.partition % 2, lane)
        this.commit(position)
      }
      return 'committed'
    },
  }

  /** Throws when an offset below the new committed one has no durable outcome. */
  commit(position: Position): void {
    const { partition, offset } = position
    assert.ok(offset <= (this.ends[partition] ?? 0), 'a commit beyond the end')
    assert.ok(offset >= (this.committed[partition] ?? 0), 'a commit went backwards')
    for (const message of this.log[partition] ?? []) {
      if (message.offset >= offset || message.value === null) continue
      assert.ok(
        this.#acknowledged[partition]?.has(message.offset),
        `${partition}/${message.offset} is committed without an outcome`,
      )
    }
    this.committed[partition] = offset
  }

  /** Checks that every message has its outcome, the right one, once or (`redelivered`) at least once. */
  check(redelivered: boolean): void {
    const seen = new Map<string, number>()
    const last = new Map<string, number>()
    for (const { partition, offset, kind, generation } of this.outcomes) {
      const message = this.log[partition]?.find((each) => each.offset === offset)
      const text = message?.value?.toString() ?? ''
      const expected = text.startsWith('poison') || text.startsWith('bad') ? 'dead' : 'score'
      assert.equal(kind, expected, `${partition}/${offset}`)
      const key = `${partition}/${offset}`
      seen.set(key, (seen.get(key) ?? 0) + 1)
      const lane = `${generation}/${partition}/${kind}`
      assert.ok((last.get(lane) ?? -1) < offset, `${key} came out of order`)
      last.set(lane, offset)
    }
    this.log.forEach((messages, partition) => {
      for (const message of messages) {
        const times = seen.get(`${partition}/${message.offset}`) ?? 0
        if (message.value === null) assert.equal(times, 0)
        else if (redelivered) assert.ok(times >= 1, `${partition}/${message.offset} was lost`)
        else assert.equal(times, 1, `${partition}/${message.offset}`)
      }
      assert.equal(this.committed[partition], this.ends[partition], `partition ${partition} is not committed`)
    })
  }
}

/** A consumer of the world that rebalances when told to. */
export class PretendedReader implements ReaderPort {
  readonly #world: StreamWorld
  readonly #handlers: IntakeHandlers
  readonly #fetchMessages: number
  #positions = new Map<number, number>()
  #paused = false
  #closed = false
  #loop: Promise<void> = Promise.resolve()
  pauses = 0

  constructor(world: StreamWorld, handlers: IntakeHandlers, fetchMessages = 20) {
    this.#world = world
    this.#handlers = handlers
    this.#fetchMessages = fetchMessages
  }

  start(): void {
    this.assign([...this.#world.log.keys()])
    this.#loop = this.#fetch()
  }

  /** Ends the epoch and begins the next one with these partitions, read from the committed offsets. */
  assign(partitions: readonly number[]): void {
    if (this.#closed) return
    this.#handlers.revoked(this.#world.generation)
    this.#world.generation++
    this.#positions = new Map(partitions.map((each) => [each, this.#world.committed[each] ?? 0]))
    this.#handlers.assigned(
      this.#world.generation,
      partitions.map((partition) => ({ topic: 'texts', partition })),
    )
    for (const [partition, nextOffset] of this.#positions) {
      const highWatermark = this.#world.ends[partition] ?? 0
      const start = { topic: 'texts', partition, messages: [], nextOffset, highWatermark }
      this.#handlers.records(this.#world.generation, start)
    }
  }

  pause(): void {
    this.#paused = true
    this.pauses++
  }

  resume(): void {
    this.#paused = false
  }

  async commit(epoch: number, offsets: readonly Position[]): Promise<'committed' | 'stale'> {
    if (epoch !== this.#world.generation || this.#closed) return 'stale'
    // A commit that the epoch began counts for it, if nobody has begun to read from the old one.
    await this.#world.pass(2)
    if (epoch !== this.#world.generation) return 'stale'
    if (this.#world.random.next() < 0.05) throw new LabelstreamError('BROKER_UNREACHABLE', 'no broker')
    for (const position of offsets) this.#world.commit(position)
    return 'committed'
  }

  rejoin(epoch: number): void {
    if (epoch === this.#world.generation) this.assign([...this.#positions.keys()])
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#loop
  }

  async #fetch(): Promise<void> {
    const { random } = this.#world
    while (!this.#closed) {
      await this.#world.pass(3)
      await nextTurn()
      if (this.#paused) continue
      for (const partition of random.shuffle([...this.#positions.keys()])) {
        const from = this.#positions.get(partition)
        const end = this.#world.ends[partition] ?? 0
        if (from === undefined || from >= end) continue
        const count = 1 + random.integer(this.#fetchMessages)
        const rest = (this.#world.log[partition] ?? []).filter((message) => message.offset >= from)
        const messages = rest.slice(0, count)
        const nextOffset = rest[count]?.offset ?? end
        this.#positions.set(partition, nextOffset)
        const batch = { topic: 'texts', partition, messages, nextOffset, highWatermark: end }
        this.#handlers.records(this.#world.generation, batch)
        // What an earlier epoch fetched may arrive late, and must not count.
        if (random.next() < 0.2)
          this.#handlers.records(this.#world.generation - 1, { ...batch, nextOffset: end })
      }
    }
  }
}

/**
 * A version of a model whose process crashes now and then, and always for poison. It takes only windows of its own
 * tokenizer, and no work after it was `ended`.
 */
export function pretendedScorer(
  world: StreamWorld,
  crashes: number,
  version = 0,
): Scorer & { runs: () => number; end: () => void } {
  const labels = labelsOf(version)
  let ended = false
  let runs = 0
  let mayCrash = true
  let crashEpoch = 0
  return {
    model: { name: 'pretended', version: String(version), digest: `digest ${version}`, precision: 'fp32' },
    labels,
    maxTokens: 64,
    knownGoodText: '4:1:0',
    runs: () => runs,
    end: () => {
      ended = true
    },
    tokenizer: {
      tokenize: async (texts) => {
        assert.ok(!ended, 'a model that has left is asked to tokenise')
        await world.pass(2)
        return texts.map((text) => tokensOf(text, version))
      },
    },
    inference: {
      run: async (windows) => {
        assert.ok(!ended, 'a model that has left is asked to score')
        runs++
        const born = crashEpoch
        // Never twice running: a row that is tried alone survives its second try.
        const crash = mayCrash && world.random.next() < crashes
        mayCrash = !crash
        await world.pass(4)
        const longest = Math.max(...windows.map((window) => window.length))
        if (crash || windows.some((window) => window[0] === poisonToken)) {
          crashEpoch++
          throw new LabelstreamError(
            world.random.next() < 0.5 ? 'INFERENCE_CRASHED' : 'INFERENCE_HUNG',
            'gone',
          )
        }
        // The process that this batch was queued at is gone.
        if (born !== crashEpoch) throw new LabelstreamError('INFERENCE_CRASHED', 'gone')
        const values = new Float32Array(windows.length * labels.length)
        windows.forEach((window, row) => {
          assert.equal(window[0], version, 'a window of another version')
          for (let label = 0; label < labels.length; label++) {
            values[row * labels.length + label] = version * versionStep + (window[1] ?? 0) + label
          }
        })
        return { values, width: labels.length, seconds: 0.001, paddedTokens: longest * windows.length }
      },
    },
    decide: (logits) => ({ scores: logits.slice(), decided: [`decided by ${version}`] }),
  }
}

export function pretendedFormats(world: StreamWorld): FormatPorts {
  return {
    decodeInput: (message) => {
      const text = message.value?.toString() ?? ''
      if (text.startsWith('bad')) throw new LabelstreamError('INPUT_EMPTY_TEXT', 'nothing there')
      const decoded = { id: message.key?.toString() ?? '', text }
      return world.random.next() < 0.1 ? Promise.resolve(decoded) : decoded
    },
    encodeScores: (event) => {
      const source = world.log[event.source.partition]?.find(({ offset }) => offset === event.source.offset)
      const text = source?.value?.toString() ?? ''
      const [length, windows, number] = text.split(':').map(Number)
      assert.equal(event.windows, windows)
      assert.equal(event.tokens, length)
      // All that an event says of its model is of one, and the largest window of the text decides.
      const version = Number(event.model.version)
      assert.equal(event.model.digest, `digest ${version}`)
      assert.deepEqual(event.scores.names, labelsOf(version))
      assert.equal(event.scores.values.length, event.scores.names.length)
      assert.deepEqual(event.labels, [`decided by ${version}`])
      const logit = version * versionStep + (number ?? 0) + (windows ?? 1) - 1
      assert.equal(event.scores.values[0], Math.fround(logit))
      return Buffer.from(JSON.stringify({ ...event.source, version }))
    },
    deadLetter: (message, _stage, error) => ({
      key: message.key,
      value: Buffer.from(JSON.stringify({ partition: message.partition, offset: message.offset })),
      headers: { reason: error.code },
    }),
  }
}

export const noMetrics: PipelineMetrics = {
  consumed: () => undefined,
  scored: () => undefined,
  skipped: () => undefined,
  deadLettered: () => undefined,
  batch: () => undefined,
  tokenized: () => undefined,
  queueWait: () => undefined,
  endToEnd: () => undefined,
  inFlightBytes: () => undefined,
  lag: () => undefined,
  committed: () => undefined,
  rebalance: () => undefined,
  retried: () => undefined,
  scores: () => undefined,
  decided: () => undefined,
  cacheHit: () => undefined,
}

const poisonToken = 666

function valueOf(text: PretendedText, number: number, length: number): Buffer | null {
  switch (text.kind) {
    case 'text':
      return Buffer.from(`${length}:1:${number}`)
    case 'long':
      return Buffer.from(`${length}:3:${number}`)
    case 'poison':
      return Buffer.from(`poison:${number}`)
    case 'badInput':
      return Buffer.from(`bad:${number}`)
    case 'tombstone':
      return null
  }
}

function tokensOf(text: string, version: number) {
  if (text.startsWith('poison')) {
    return { windows: [Int32Array.of(poisonToken, 0, 0, 0)], tokens: 4, truncated: false }
  }
  const [length = 3, count = 1, number = 0] = text.split(':').map(Number)
  const windows = Array.from({ length: count }, (_, index) => {
    const window = new Int32Array(Math.max(2, length - index))
    window[0] = version
    window[1] = number + ((index + 1) % count)
    return window
  })
  return { windows, tokens: length, truncated: false }
}

function sourceOf(message: OutgoingMessage): Pick<Outcome, 'partition' | 'offset' | 'version'> {
  assert.ok(message.value !== null)
  type Written = { partition: number; offset: number; version?: number }
  const { partition, offset, version } = JSON.parse(message.value.toString()) as Written
  return { partition, offset, ...(version === undefined ? {} : { version }) }
}
