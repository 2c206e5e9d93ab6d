import { monotonicMs, waitUntil } from '../core/clock.ts'
import type { LabelstreamError } from '../core/errors.ts'
import type { DeadLetterStage } from '../formats/dead-letter.ts'
import type { Position } from '../formats/message.ts'
import { ByteBudget } from './budget.ts'
import { AtLeastOnce } from './at-least-once.ts'
import type { Delivery } from './delivery.ts'
import { EndWatch, promiseWithSettlers } from './end-watch.ts'
import { ExactlyOnce, type TransactionLimits } from './exactly-once.ts'
import { Intake } from './intake.ts'
import { Outcomes } from './outcomes.ts'
import { OutputPlan } from './output-plan.ts'
import { InFlightMessage, partitionKey, PartitionStream, skipped } from './partition-stream.ts'
import type { PipelineOptions, PipelinePorts } from './pipeline-options.ts'
import type { FetchedRecords, IntakeHandlers, ReaderPort, Scorer } from './ports.ts'
import { ServedModels } from './served-models.ts'
import { Totals, type PipelineTotals } from './totals.ts'

const smallestPoolWindows = 768

const defaultTransactions: TransactionLimits = { transactionMs: 100, transactionMessages: 2_000 }

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
  readonly #options: PipelineOptions
  readonly #ports: PipelinePorts
  readonly #plan: OutputPlan
  readonly #intake: Intake
  readonly #models: ServedModels
  readonly #outcomes: Outcomes
  readonly #totals: Totals
  readonly #finished = promiseWithSettlers()
  #budget: ByteBudget
  #reader: ReaderPort | undefined
  #delivery: Delivery | undefined
  #epoch: number | undefined
  #streams = new Map<string, PartitionStream>()
  #endWatch: EndWatch | undefined
  #state: 'running' | 'stopping' | 'ended' = 'running'
  #stopped: Promise<void> | undefined

  private constructor(options: PipelineOptions, ports: PipelinePorts, plan: OutputPlan) {
    this.#options = options
    this.#ports = ports
    this.#plan = plan
    this.#budget = new ByteBudget(options.maxInFlightBytes)
    const { scorer, formats, metrics } = ports
    this.#outcomes = new Outcomes(formats, metrics, options.cacheEntries ?? 0)
    this.#totals = new Totals(metrics)
    const shared = {
      dead: this.#bury.bind(this),
      settled: this.#settled.bind(this),
      failed: this.#fail.bind(this),
    }
    this.#models = new ServedModels(
      scorer,
      {
        metrics,
        encodeScores: formats.encodeScores,
        outcomes: this.#outcomes,
        limits: options.limits,
        inflightBatches: options.inflightBatches ?? 2,
        chunksAtOnce: options.chunksAtOnce ?? 2,
      },
      { ...shared, moreExpected: () => this.#moreExpected() },
    )
    const poolWindows = options.poolWindows ?? Math.max(smallestPoolWindows, options.limits.budgetTokens)
    this.#intake = new Intake(
      {
        metrics,
        decodeInput: formats.decodeInput,
        chunkTexts: options.chunkTexts ?? 256,
        random: ports.random ?? Math.random,
      },
      {
        ...shared,
        room: () => this.#models.free && this.#models.waiting < poolWindows,
        decoded: (texts) => this.#models.take(texts),
      },
    )
    this.handlers = {
      assigned: this.#assigned.bind(this),
      revoked: this.#revoked.bind(this),
      records: this.#records.bind(this),
      failed: shared.failed,
    }
  }

  /** Rejects with SETTING_INVALID when a window could exceed the token budget, or with what the writer says. */
  static async create(options: PipelineOptions, ports: PipelinePorts): Promise<Pipeline> {
    return new Pipeline(options, ports, await OutputPlan.create(ports.writer, options.topics))
  }

  /** Resolves after `stop`; rejects on a fault that cannot be retried, when all is closed. */
  get finished(): Promise<void> {
    return this.#finished.promise
  }

  get totals(): PipelineTotals {
    return this.#totals.snapshot(this.#models)
  }

  get inFlightBytes(): number {
    return this.#budget.inFlightBytes
  }

  /** Begins to read. `reader` must have been made with this pipeline's `handlers`. */
  async start(reader: ReaderPort): Promise<void> {
    this.#reader = reader
    this.#delivery = this.#deliveryWith(reader)
    await reader.start()
  }

  #deliveryWith(reader: ReaderPort): Delivery {
    const { writer, metrics } = this.#ports
    const effects = {
      streams: () => this.#streams.values(),
      acknowledged: this.#acknowledged.bind(this),
      failed: this.#fail.bind(this),
    }
    if (!('transact' in writer)) {
      return new AtLeastOnce({ writer, reader, metrics }, this.#plan, this.#options, effects)
    }
    const limits = this.#options.transactions ?? defaultTransactions
    return new ExactlyOnce({ transactions: writer, reader, metrics }, this.#plan, limits, effects)
  }

  /**
   * Resolves when every partition assigned to this member is finished up to its end offset; one with nothing left to
   * read is finished as soon as the reader tells where it starts. Resolves too when the pipeline is stopped before,
   * and rejects when it fails.
   */
  untilEnd(endOffsets: readonly Position[]): Promise<void> {
    const watch = new EndWatch(endOffsets)
    this.#endWatch = watch
    this.#checkEnd()
    return Promise.race([watch.reached, this.finished])
  }

  /**
   * From the next text on this model scores; what the one before it was given, it finishes. Resolves when nothing of
   * that is left. Throws SETTING_INVALID when a window of the model could exceed the token budget; the one before it
   * then goes on.
   */
  swap(scorer: Scorer): Promise<void> {
    return this.#models.swap(scorer)
  }

  /**
   * Ends in order: stops reading, finishes what is being tokenised or further within `deadlineMs`, commits, closes
   * the reader. What was not finished is not committed, so it is read again by whoever comes next.
   */
  stop(options: { deadlineMs: number }): Promise<void> {
    this.#stopped ??= this.#stop(options.deadlineMs)
    return this.#stopped
  }

  async #stop(deadlineMs: number): Promise<void> {
    if (this.#state === 'running') {
      this.#state = 'stopping'
      this.#reader?.pause()
      this.#intake.drop()
      this.#models.drain()
      this.#delivery?.drain()
      await waitUntil(() => this.#state === 'ended' || this.#quiet(), {
        timeoutMs: deadlineMs,
        everyMs: 5,
        onTimeout: () => new Error('the rest is read again later'),
      }).catch(() => undefined)
      // A fault meanwhile has ended it already, and is what `finished` tells.
      if (this.#quietState() !== 'ended') {
        await this.#end().then(this.#finished.resolve, this.#finished.reject)
      }
    }
    return this.finished
  }

  /** The state after an await, which the compiler would take for unchanged. */
  #quietState(): 'running' | 'stopping' | 'ended' {
    return this.#state
  }

  /** Nothing is under way that could still lead to an acknowledgement. */
  #quiet(): boolean {
    return !this.#intake.working && this.#models.idle && (this.#delivery?.idle ?? true)
  }

  /** What is finished is committed all the same: less to do again after the restart. */
  #fail(error: LabelstreamError): void {
    if (this.#state === 'ended') return
    const reject = (): void => {
      this.#finished.reject(error)
    }
    this.#end().then(reject, reject)
  }

  async #end(): Promise<void> {
    this.#state = 'ended'
    this.#intake.close()
    this.#models.close()
    try {
      await this.#delivery?.finish()
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
      const stream = new PartitionStream(epoch, topic, partition, limits)
      this.#streams.set(partitionKey(topic, partition), stream)
    }
    this.#ports.metrics.rebalance()
    this.#checkEnd()
  }

  #revoked(epoch: number): void {
    if (epoch !== this.#epoch) return
    if (this.#state === 'running') this.#delivery?.revoked()
    this.#dropEpoch()
  }

  /** Forgets all that the epoch had in hand: its partitions go to someone who reads from the last commit. */
  #dropEpoch(): void {
    for (const stream of this.#streams.values()) stream.live = false
    this.#streams = new Map()
    this.#epoch = undefined
    this.#intake.drop()
    this.#models.drop()
    this.#outcomes.dropInFlight()
    const wasPaused = this.#budget.paused
    this.#budget = new ByteBudget(this.#options.maxInFlightBytes)
    this.#ports.metrics.inFlightBytes(0)
    if (wasPaused && this.#state === 'running') this.#reader?.resume()
  }

  #records(epoch: number, batch: FetchedRecords): void {
    if (epoch !== this.#epoch || this.#state !== 'running') return
    const stream = this.#streams.get(partitionKey(batch.topic, batch.partition))
    if (stream === undefined) return
    const now = monotonicMs()
    const texts: InFlightMessage[] = []
    let sizeBytes = 0
    let entered = 0
    for (const source of batch.messages) {
      if (!stream.ledger.enter(source.offset)) continue
      const message = new InFlightMessage(source, stream, now)
      stream.sequencer.push(message)
      sizeBytes += message.sizeBytes
      entered++
      if (source.value === null) message.outcome = skipped
      else texts.push(message)
    }
    stream.ledger.advance(batch.nextOffset)
    stream.highWatermark = batch.highWatermark
    this.#totals.consumed(batch.topic, entered, now)
    if (this.#budget.add(sizeBytes)) this.#reader?.pause()
    this.#ports.metrics.inFlightBytes(this.#budget.inFlightBytes)
    this.#intake.add(texts)
    if (texts.length < entered || entered === 0) this.#delivery?.ready(stream)
    // The lag may have become zero: then what waits need not wait for more.
    if (texts.length === 0) this.#models.pump()
    this.#checkEnd()
  }

  #checkEnd(): void {
    if (this.#epoch !== undefined) this.#endWatch?.check(this.#streams)
  }

  #moreExpected(): boolean {
    if (this.#intake.busy) return true
    if (this.#budget.paused || this.#state !== 'running') return false
    for (const stream of this.#streams.values()) if (stream.unread > 0) return true
    return false
  }

  #bury(message: InFlightMessage, stage: DeadLetterStage, error: LabelstreamError): void {
    if (!message.open) return
    const alike = this.#outcomes.dead(message, stage, error)
    if (alike.length > 0) this.#intake.add(alike)
  }

  /** Some of these messages may have their outcome now, and there may be room or work. */
  #settled(messages: readonly InFlightMessage[]): void {
    const streams = new Set<PartitionStream>()
    for (const message of messages) if (message.outcome !== undefined) streams.add(message.stream)
    for (const stream of streams) this.#delivery?.ready(stream)
    this.#intake.pump()
    this.#models.pump()
  }

  #acknowledged(stream: PartitionStream, run: readonly InFlightMessage[]): void {
    let sizeBytes = 0
    for (const message of run) {
      stream.ledger.finish(message.offset)
      sizeBytes += message.sizeBytes
    }
    stream.sequencer.acknowledge()
    this.#totals.acknowledged(stream, run, monotonicMs())
    if (!stream.live) return
    if (this.#budget.release(sizeBytes) && this.#state === 'running') this.#reader?.resume()
    this.#ports.metrics.inFlightBytes(this.#budget.inFlightBytes)
    this.#checkEnd()
  }
}
