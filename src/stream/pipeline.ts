import { monotonicMs, sleep, waitUntil, wallClockMs } from '../core/clock.ts'
import { asLabelstreamError, type LabelstreamError } from '../core/errors.ts'
import type { Position } from '../formats/message.ts'
import type { BatchLimits } from './batcher.ts'
import { ByteBudget } from './budget.ts'
import { Intake } from './intake.ts'
import { InFlightMessage, messageBytes, PartitionStream } from './partition-stream.ts'
import type {
  FetchedRecords,
  FormatPorts,
  IntakeHandlers,
  PipelineMetrics,
  ReaderPort,
  Scorer,
  WriterPort,
} from './ports.ts'
import { Publisher, type OutputTopics } from './publisher.ts'
import { ScoreBuilder } from './scored-message.ts'
import { Scoring } from './scoring.ts'

export interface PipelineOptions {
  readonly topics: OutputTopics
  readonly limits: BatchLimits
  readonly maxInFlightBytes: number
  readonly commitIntervalMs: number
  /** Batches at the inference port at once. */
  readonly inflightBatches?: number
  /** Texts tokenised in one call, and calls to the tokenizer at once (one more than it has threads is good). */
  readonly chunkTexts?: number
  readonly chunksAtOnce?: number
  /** Tokenised windows that may wait for a batch; a larger pool pads less and waits longer. */
  readonly poolWindows?: number
  /** Most messages and bytes in one send. */
  readonly sendMessages?: number
  readonly sendBytes?: number
}

export interface PipelinePorts {
  readonly writer: WriterPort
  readonly scorer: Scorer
  readonly formats: FormatPorts
  readonly metrics: PipelineMetrics
  /** Uniform in [0, 1): the jitter of back-offs. */
  readonly random?: () => number
}

export interface PipelineTotals {
  readonly consumed: number
  readonly scored: number
  readonly deadLettered: number
  readonly skipped: number
  readonly paddedTokens: number
  readonly realTokens: number
  /** Monotonic milliseconds; undefined before the first of each. */
  readonly firstFetchMs: number | undefined
  readonly lastAckMs: number | undefined
}

const commitAttempts = 3
const commitRetryMs = 250

/**
 * The life of every message between the consumer and the producer: intake, batches, outcomes in input order,
 * acknowledgement, commit. An offset is committed only when its outcome and those of all offsets below it are
 * durable, and only in the epoch that owns it.
 *
 * Made by `create`; its `handlers` go to the reader, which then goes to `start`. The ports stay their owner's to
 * close, except the reader.
 */
export class Pipeline {
  readonly handlers: IntakeHandlers
  /** Resolves after `stop`; rejects on a fault that cannot be retried. */
  readonly finished: Promise<void>
  readonly #options: PipelineOptions
  readonly #ports: PipelinePorts
  readonly #publisher: Publisher
  readonly #intake: Intake
  readonly #scoring: Scoring
  readonly #builder: ScoreBuilder
  readonly #settleFinished: PromiseWithResolvers<void>
  #budget: ByteBudget
  #reader: ReaderPort | undefined
  #epoch = -1
  #streams = new Map<string, PartitionStream>()
  #commitTimer: NodeJS.Timeout | undefined
  #committing: Promise<void> = Promise.resolve()
  #state: 'running' | 'stopping' | 'ended' = 'running'
  #stopped: Promise<void> | undefined
  #onProgress: (() => void) | undefined
  #onAssigned: (() => void) | undefined
  #publishing = 0
  #consumed = 0
  #scored = 0
  #deadLettered = 0
  #skipped = 0
  #firstFetchMs: number | undefined
  #lastAckMs: number | undefined

  private constructor(options: PipelineOptions, ports: PipelinePorts, publisher: Publisher) {
    this.#options = options
    this.#ports = ports
    this.#publisher = publisher
    this.#budget = new ByteBudget(options.maxInFlightBytes)
    this.#settleFinished = withResolvers()
    this.finished = this.#settleFinished.promise
    // Whoever awaits `finished` hears of the fault; nobody has to.
    this.finished.catch(() => undefined)
    const { scorer, formats, metrics } = ports
    this.#builder = new ScoreBuilder(scorer, formats.encodeScores, metrics)
    const dead = (message: InFlightMessage, error: LabelstreamError, stage: string): void => {
      if (message.open) this.#bury(message, error, stage)
    }
    const settled = (messages: readonly InFlightMessage[]): void => {
      this.#settled(messages)
    }
    const failed = (error: LabelstreamError): void => {
      this.#fail(error)
    }
    this.#scoring = new Scoring(
      { scorer, metrics, limits: options.limits, inflightBatches: options.inflightBatches ?? 2 },
      {
        moreExpected: () => this.#moreExpected(),
        scored: (message) => {
          message.outcome = this.#builder.build(message, wallClockMs())
        },
        dead,
        settled,
        failed,
      },
    )
    this.#intake = new Intake(
      {
        scorer,
        decodeInput: formats.decodeInput,
        metrics,
        chunkTexts: options.chunkTexts ?? 256,
        chunksAtOnce: options.chunksAtOnce ?? 2,
        random: ports.random ?? Math.random,
      },
      {
        room: () => this.#scoring.waiting < (options.poolWindows ?? 4_096),
        tokenized: (texts) => {
          this.#scoring.add(texts)
        },
        dead,
        settled,
        failed,
      },
    )
    this.handlers = {
      assigned: (epoch, partitions) => {
        this.#assigned(epoch, partitions)
      },
      revoked: (epoch) => {
        if (epoch === this.#epoch) this.#dropEpoch()
      },
      records: (epoch, batch) => {
        this.#records(epoch, batch)
      },
      failed,
    }
  }

  /** Rejects with SETTING_INVALID when a window could exceed the token budget, or with what the writer says. */
  static async create(options: PipelineOptions, ports: PipelinePorts): Promise<Pipeline> {
    return new Pipeline(options, ports, await Publisher.create(ports.writer, options.topics))
  }

  get totals(): PipelineTotals {
    return {
      consumed: this.#consumed,
      scored: this.#scored,
      deadLettered: this.#deadLettered,
      skipped: this.#skipped,
      paddedTokens: this.#scoring.paddedTokens,
      realTokens: this.#scoring.realTokens,
      firstFetchMs: this.#firstFetchMs,
      lastAckMs: this.#lastAckMs,
    }
  }

  get inFlightBytes(): number {
    return this.#budget.inFlightBytes
  }

  /** Begins to read. `reader` must have been made with this pipeline's `handlers`. */
  async start(reader: ReaderPort): Promise<void> {
    this.#reader = reader
    this.#commitTimer = setInterval(() => {
      void this.#commit()
    }, this.#options.commitIntervalMs)
    await reader.start()
  }

  /**
   * Resolves when every partition assigned to this member is finished up to its end offset. `startOffsets` is asked
   * after each assignment for where the group's partitions start (the committed offset, else the log's start), so
   * that a partition with nothing to read counts as finished. Rejects when the pipeline fails.
   */
  untilEnd(endOffsets: readonly Position[], startOffsets: () => Promise<readonly Position[]>): Promise<void> {
    const ends = positionsByKey(endOffsets)
    let starts = new Map<string, number>()
    let knownEpoch = -1
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (this.#epoch < 0 || knownEpoch !== this.#epoch) return
        for (const [key, stream] of this.#streams) {
          const reached = Math.max(stream.ledger.committable() ?? 0, starts.get(key) ?? 0)
          if (reached < (ends.get(key) ?? 0)) return
        }
        this.#onProgress = undefined
        this.#onAssigned = undefined
        resolve()
      }
      const ask = async (): Promise<void> => {
        const epoch = this.#epoch
        starts = positionsByKey(await startOffsets())
        knownEpoch = epoch
        check()
      }
      this.#onProgress = check
      this.#onAssigned = () => {
        ask().catch(reject)
      }
      this.finished.then(resolve, reject)
      if (this.#epoch >= 0) this.#onAssigned()
    })
  }

  /**
   * Ends in order: stops reading, finishes what is tokenised or further within `deadlineMs`, commits, closes the
   * reader. What was not finished is not committed, so it is read again by whoever comes next.
   */
  stop(options: { deadlineMs: number }): Promise<void> {
    this.#stopped ??= this.#stop(options.deadlineMs)
    return this.#stopped
  }

  async #stop(deadlineMs: number): Promise<void> {
    if (this.#state !== 'running') return this.finished
    this.#state = 'stopping'
    this.#reader?.pause()
    this.#intake.drop()
    this.#scoring.drain()
    const late = new Error('deadline')
    await waitUntil(() => this.#state === 'ended' || this.#quiet(), {
      timeoutMs: deadlineMs,
      everyMs: 5,
      onTimeout: () => late,
    }).catch((error: unknown) => {
      if (error !== late) throw error
    })
    if (this.#state === 'stopping') {
      await this.#end().then(this.#settleFinished.resolve, this.#settleFinished.reject)
    }
    return this.finished
  }

  /** Nothing is under way that could still lead to an acknowledgement. */
  #quiet(): boolean {
    return !this.#intake.working && this.#scoring.idle && this.#publishing === 0
  }

  #fail(error: LabelstreamError): void {
    if (this.#state === 'ended') return
    const ended = this.#end()
    // What is finished is committed all the same: less to do again after the restart.
    void ended.catch(() => undefined).then(() => this.#settleFinished.reject(error))
  }

  async #end(): Promise<void> {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    clearInterval(this.#commitTimer)
    this.#intake.close()
    this.#scoring.close()
    await this.#committing
    try {
      for (let attempt = 1; !(await this.#commitOnce()) && attempt < commitAttempts; attempt++) {
        await sleep(commitRetryMs)
      }
    } finally {
      this.#dropEpoch()
      await this.#reader?.close()
    }
  }

  #assigned(epoch: number, partitions: readonly { topic: string; partition: number }[]): void {
    if (this.#state !== 'running') return
    this.#dropEpoch()
    this.#epoch = epoch
    const limits = {
      maxMessages: this.#options.sendMessages ?? 1_000,
      maxBytes: this.#options.sendBytes ?? 900_000,
    }
    for (const { topic, partition } of partitions) {
      this.#streams.set(keyOf(topic, partition), new PartitionStream(epoch, topic, partition, limits))
    }
    this.#ports.metrics.rebalance()
    this.#onAssigned?.()
  }

  /** Forgets all that the epoch had in hand: its partitions belong to someone who reads from the last commit. */
  #dropEpoch(): void {
    for (const stream of this.#streams.values()) stream.live = false
    this.#streams = new Map()
    this.#epoch = -1
    this.#intake.drop()
    this.#scoring.drop()
    const wasPaused = this.#budget.paused
    this.#budget = new ByteBudget(this.#options.maxInFlightBytes)
    this.#ports.metrics.inFlightBytes(0)
    if (wasPaused && this.#state === 'running') this.#reader?.resume()
  }

  #records(epoch: number, batch: FetchedRecords): void {
    if (epoch !== this.#epoch || this.#state !== 'running') return
    const stream = this.#streams.get(keyOf(batch.topic, batch.partition))
    if (stream === undefined) return
    const now = monotonicMs()
    const fresh: InFlightMessage[] = []
    let sizeBytes = 0
    let skipped = 0
    for (const source of batch.messages) {
      if (!stream.ledger.enter(source.offset)) continue
      const message = new InFlightMessage(source, stream, now)
      stream.sequencer.push(message)
      sizeBytes += message.sizeBytes
      this.#consumed++
      if (source.value === null) {
        message.outcome = { kind: 'skip', sizeBytes: 0, message: undefined, reason: undefined }
        skipped++
      } else fresh.push(message)
    }
    stream.ledger.advance(batch.nextOffset)
    stream.highWatermark = batch.highWatermark
    if (batch.messages.length > 0) {
      this.#firstFetchMs ??= now
      this.#ports.metrics.consumed(batch.topic, fresh.length + skipped)
      if (this.#budget.add(sizeBytes)) this.#reader?.pause()
      this.#ports.metrics.inFlightBytes(this.#budget.inFlightBytes)
    }
    this.#intake.add(fresh)
    if (skipped > 0) void this.#publish(stream)
    // The lag may have become zero: what waits need not wait for more.
    if (fresh.length === 0) this.#scoring.pump()
    this.#onProgress?.()
  }

  #moreExpected(): boolean {
    if (this.#intake.busy) return true
    if (this.#budget.paused || this.#state !== 'running') return false
    for (const stream of this.#streams.values()) if (stream.unread > 0) return true
    return false
  }

  #bury(message: InFlightMessage, error: LabelstreamError, stage: string): void {
    const outgoing = this.#ports.formats.deadLetter(message.source, error, stage)
    message.outcome = {
      kind: 'deadLetter',
      sizeBytes: messageBytes(outgoing),
      message: outgoing,
      reason: error.code,
    }
  }

  #settled(messages: readonly InFlightMessage[]): void {
    const streams = new Set<PartitionStream>()
    for (const message of messages) if (message.outcome !== undefined) streams.add(message.stream)
    for (const stream of streams) void this.#publish(stream)
    this.#intake.pump()
    if (!this.#intake.busy) this.#scoring.pump()
  }

  /** Publishes all that is ready in a partition, one send at a time. */
  async #publish(stream: PartitionStream): Promise<void> {
    for (;;) {
      const run = stream.live ? stream.sequencer.take() : []
      if (run.length === 0) return
      this.#publishing++
      try {
        await this.#publisher.publish(stream, run)
        this.#acknowledged(stream, run)
      } catch (thrown) {
        this.#fail(asLabelstreamError(thrown))
        return
      } finally {
        this.#publishing--
      }
    }
  }

  #acknowledged(stream: PartitionStream, run: readonly InFlightMessage[]): void {
    const { metrics } = this.#ports
    const now = monotonicMs()
    let scored = 0
    let skipped = 0
    let sizeBytes = 0
    for (const message of run) {
      const { outcome } = message
      if (outcome?.kind === 'score') scored++
      else if (outcome?.kind === 'skip') skipped++
      else {
        this.#deadLettered++
        metrics.deadLettered(outcome?.reason ?? '')
      }
      sizeBytes += message.sizeBytes
      metrics.endToEnd((now - message.readMs) / 1000)
      stream.ledger.finish(message.offset)
    }
    stream.sequencer.acknowledge()
    this.#lastAckMs = now
    this.#scored += scored
    this.#skipped += skipped
    const { name, version } = this.#ports.scorer.model
    if (scored > 0) metrics.scored(`${name}@${version}`, scored)
    if (skipped > 0) metrics.skipped(stream.topic, skipped)
    if (!stream.live) return
    if (this.#budget.release(sizeBytes) && this.#state === 'running') this.#reader?.resume()
    metrics.inFlightBytes(this.#budget.inFlightBytes)
    this.#onProgress?.()
  }

  /** Commits in turn: two commits at once could arrive in the wrong order. */
  #commit(): Promise<void> {
    this.#committing = this.#committing.then(async () => {
      try {
        await this.#commitOnce()
      } catch (thrown) {
        this.#fail(asLabelstreamError(thrown))
      }
    })
    return this.#committing
  }

  /** False when the broker could not be reached; then the next commit covers these offsets too. */
  async #commitOnce(): Promise<boolean> {
    const { metrics } = this.#ports
    const moved: { stream: PartitionStream; position: Position }[] = []
    for (const stream of this.#streams.values()) {
      const offset = stream.ledger.committable()
      if (offset === undefined) continue
      metrics.lag(stream.topic, stream.partition, Math.max(0, stream.highWatermark - offset))
      if (offset === stream.committed) continue
      moved.push({ stream, position: { topic: stream.topic, partition: stream.partition, offset } })
    }
    if (moved.length === 0 || this.#reader === undefined) return true
    try {
      const positions = moved.map(({ position }) => position)
      if ((await this.#reader.commit(this.#epoch, positions)) === 'stale') return true
    } catch (thrown) {
      const error = asLabelstreamError(thrown)
      if (error.disposition !== 'retry') throw error
      metrics.retried(error.code)
      return false
    }
    for (const { stream, position } of moved) {
      stream.committed = position.offset
      metrics.committed(stream.topic, stream.partition, position.offset)
    }
    return true
  }
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

/** Promise.withResolvers, which Node 20 does not have. */
function withResolvers(): PromiseWithResolvers<void> {
  let resolve: () => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`

function positionsByKey(positions: readonly Position[]): Map<string, number> {
  return new Map(positions.map(({ topic, partition, offset }) => [keyOf(topic, partition), offset]))
}
