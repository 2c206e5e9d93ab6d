import { monotonicMs, waitUntil } from '../core/clock.ts'
import { asLabelstreamError } from '../core/errors.ts'
import type { Position } from '../formats/message.ts'
import type { Delivery, DeliveryEffects } from './delivery.ts'
import { halves, type OutgoingBatch, type OutputPlan } from './output-plan.ts'
import type { InFlightMessage, PartitionStream } from './partition-stream.ts'
import type { PipelineMetrics, ReaderPort, TransactionPort } from './ports.ts'

export interface TransactionLimits {
  /** How long outcomes wait for others to share their transaction. */
  readonly transactionMs: number
  /** So many outcomes do not wait. */
  readonly transactionMessages: number
}

/** Partitions that share their transactions. */
interface Lane {
  readonly lane: number
  readonly streams: Set<PartitionStream>
  busy: boolean
  /** When what is ready goes, however little it is; undefined while nothing is ready. */
  dueMs: number | undefined
  timer: NodeJS.Timeout | undefined
}

/** One partition's part of a transaction. */
interface Part {
  readonly stream: PartitionStream
  readonly run: readonly InFlightMessage[]
  readonly position: Position
}

const finishPatienceMs = 5_000

/**
 * Scores, dead letters and offsets of a lane leave in one transaction after another, each of everything that is
 * ready by then. What a transaction holds is durable when it is committed, and not before.
 */
export class ExactlyOnce implements Delivery {
  readonly #transactions: TransactionPort
  readonly #reader: ReaderPort
  readonly #metrics: PipelineMetrics
  readonly #plan: OutputPlan
  readonly #limits: TransactionLimits
  readonly #effects: DeliveryEffects
  readonly #lanes = new Map<number, Lane>()
  /** Of the largest batch that a topic took, once one was refused. */
  #mostMessages = Infinity
  #state: 'open' | 'draining' | 'ended' = 'open'

  constructor(
    ports: {
      readonly transactions: TransactionPort
      readonly reader: ReaderPort
      readonly metrics: PipelineMetrics
    },
    plan: OutputPlan,
    limits: TransactionLimits,
    effects: DeliveryEffects,
  ) {
    this.#transactions = ports.transactions
    this.#reader = ports.reader
    this.#metrics = ports.metrics
    this.#plan = plan
    this.#limits = limits
    this.#effects = effects
  }

  get idle(): boolean {
    for (const lane of this.#lanes.values()) if (lane.busy || lane.dueMs !== undefined) return false
    return true
  }

  ready(stream: PartitionStream): void {
    const number = this.#transactions.laneOf(stream.partition)
    let lane = this.#lanes.get(number)
    if (lane === undefined) {
      lane = { lane: number, streams: new Set(), busy: false, dueMs: undefined, timer: undefined }
      this.#lanes.set(number, lane)
    }
    lane.streams.add(stream)
    this.#pump(lane)
  }

  drain(): void {
    if (this.#state === 'open') this.#state = 'draining'
    for (const lane of this.#lanes.values()) this.#pump(lane)
  }

  /** What is under way may still be committed: whoever takes the lanes waits for it or fences it. */
  revoked(): void {
    for (const lane of this.#lanes.values()) this.#disarm(lane)
    this.#lanes.clear()
  }

  async finish(): Promise<void> {
    if (this.#state !== 'ended') {
      this.drain()
      await waitUntil(() => this.idle, {
        timeoutMs: finishPatienceMs,
        everyMs: 5,
        onTimeout: () => new Error('the rest is read again later'),
      }).catch(() => undefined)
      await this.#transactions.settle()
    }
    this.#end()
  }

  #end(): void {
    this.#state = 'ended'
    for (const lane of this.#lanes.values()) this.#disarm(lane)
  }

  /** Begins a transaction if one is due, else sees to it that one will be. */
  #pump(lane: Lane): void {
    if (this.#state === 'ended') return
    let outcomes = 0
    let moved = false
    for (const stream of lane.streams) {
      if (!stream.live) lane.streams.delete(stream)
      else if (stream.sequencer.ready > 0) outcomes += stream.sequencer.ready
      else if (hasMoved(stream)) moved = true
    }
    if (outcomes === 0 && !moved) {
      this.#disarm(lane)
      return
    }
    const now = monotonicMs()
    lane.dueMs ??= now + this.#limits.transactionMs
    if (lane.busy) return
    if (this.#state === 'open' && outcomes < this.#limits.transactionMessages && now < lane.dueMs) {
      lane.timer ??= setTimeout(() => {
        lane.timer = undefined
        this.#pump(lane)
      }, lane.dueMs - now)
      return
    }
    this.#disarm(lane)
    void this.#transact(lane)
  }

  #disarm(lane: Lane): void {
    clearTimeout(lane.timer)
    lane.timer = undefined
    lane.dueMs = undefined
  }

  async #transact(lane: Lane): Promise<void> {
    const parts = [...lane.streams].flatMap(takePart)
    const epoch = parts[0]?.stream.epoch
    if (epoch === undefined) return
    lane.busy = true
    try {
      const batches = parts.flatMap(({ stream, run }) => this.#plan.batches(stream.partition, run))
      const positions = parts.map(({ position }) => position)
      const result = await this.#commit(epoch, lane.lane, batches, positions)
      if (result === 'committed') this.#committed(parts)
      // someone else has the lane: what this epoch has in hand is theirs to do
      else if (parts.some(({ stream }) => stream.live)) this.#reader.rejoin(epoch)
    } catch (thrown) {
      this.#end()
      this.#effects.failed(asLabelstreamError(thrown))
    } finally {
      lane.busy = false
    }
    this.#pump(lane)
  }

  /** Halves the batches as long as a topic finds one too large: its `max.message.bytes` is for a whole batch. */
  async #commit(
    epoch: number,
    lane: number,
    batches: readonly OutgoingBatch[],
    positions: readonly Position[],
  ): Promise<'committed' | 'stale'> {
    for (;;) {
      const fitting = batches.flatMap((batch) => this.#fitting(batch))
      try {
        return await this.#transactions.transact(epoch, lane, fitting, positions)
      } catch (thrown) {
        const error = asLabelstreamError(thrown)
        const longest = Math.max(...fitting.map(({ messages }) => messages.length))
        if (error.code !== 'RECORD_TOO_LARGE' || longest <= 1) throw error
        this.#mostMessages = Math.ceil(longest / 2)
      }
    }
  }

  #fitting(batch: OutgoingBatch): OutgoingBatch[] {
    if (batch.messages.length <= this.#mostMessages) return [batch]
    return halves(batch).flatMap((half) => this.#fitting(half))
  }

  #committed(parts: readonly Part[]): void {
    for (const { stream, run, position } of parts) {
      stream.committed = position.offset
      if (run.length > 0) this.#effects.acknowledged(stream, run)
      if (!stream.live) continue
      const lag = Math.max(0, stream.highWatermark - position.offset)
      this.#metrics.lag(stream.topic, stream.partition, lag)
      this.#metrics.committed(stream.topic, stream.partition, position.offset)
    }
  }
}

/** Offsets without messages were read over since the last commit, and nothing before them is unfinished. */
function hasMoved({ ledger, sequencer, committed }: PartitionStream): boolean {
  const offset = ledger.committable()
  return sequencer.size === 0 && offset !== undefined && offset !== committed
}

function takePart(stream: PartitionStream): Part[] {
  const { topic, partition, ledger, sequencer } = stream
  if (!stream.live) return []
  const run = sequencer.take()
  const last = run.at(-1)
  if (last === undefined && !hasMoved(stream)) return []
  const offset = last === undefined ? ledger.committable() : ledger.after(last.offset)
  return offset === undefined ? [] : [{ stream, run, position: { topic, partition, offset } }]
}
