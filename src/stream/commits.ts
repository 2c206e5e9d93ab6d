import { sleep, withDeadline } from '../core/clock.ts'
import { asLabelstreamError, type LabelstreamError } from '../core/errors.ts'
import type { Position } from '../formats/message.ts'
import type { PartitionStream } from './partition-stream.ts'
import type { PipelineMetrics, ReaderPort } from './ports.ts'

const finalAttempts = 3
const finalRetryMs = 250
/** Somebody waits for the end; what is not committed is done again. */
const finishPatienceMs = 5_000

/** Commits the gap-free prefixes, regularly and at the end. */
export class Committer {
  readonly #reader: ReaderPort
  readonly #metrics: PipelineMetrics
  /** The partitions of the epoch that is current now. */
  readonly #streams: () => Iterable<PartitionStream>
  readonly #failed: (error: LabelstreamError) => void
  readonly #timer: NodeJS.Timeout
  #underWay: Promise<void> = Promise.resolve()

  constructor(
    reader: ReaderPort,
    metrics: PipelineMetrics,
    streams: () => Iterable<PartitionStream>,
    options: { intervalMs: number; failed: (error: LabelstreamError) => void },
  ) {
    this.#reader = reader
    this.#metrics = metrics
    this.#streams = streams
    this.#failed = options.failed
    this.#timer = setInterval(() => {
      // In turn: two commits at once could arrive in the wrong order.
      this.#underWay = this.#underWay.then(() => this.#attempt())
    }, options.intervalMs)
  }

  /** Commits what is finished at this moment, without waiting for an earlier commit. */
  commitNow(): void {
    const earlier = this.#underWay
    const now = this.#attempt()
    this.#underWay = earlier.then(() => now)
  }

  /** Commits a last time. Rejects when the broker refuses; gives up quietly when it cannot be reached. */
  async finish(): Promise<void> {
    clearInterval(this.#timer)
    const late = new Error('the brokers do not answer')
    try {
      await withDeadline(this.#finalCommit(), finishPatienceMs, () => late)
    } catch (error) {
      if (error !== late) throw error
    }
  }

  async #finalCommit(): Promise<void> {
    await this.#underWay
    for (let attempt = 1; !(await this.#commit()) && attempt < finalAttempts; attempt++) {
      await sleep(finalRetryMs * attempt)
    }
  }

  async #attempt(): Promise<void> {
    try {
      await this.#commit()
    } catch (thrown) {
      this.#failed(asLabelstreamError(thrown))
    }
  }

  /** False when the broker could not be reached; then the next commit covers these offsets too. */
  async #commit(): Promise<boolean> {
    const moved: { stream: PartitionStream; position: Position }[] = []
    let epoch = -1
    for (const stream of this.#streams()) {
      const offset = stream.ledger.committable()
      if (offset === undefined) continue
      this.#metrics.lag(stream.topic, stream.partition, Math.max(0, stream.highWatermark - offset))
      if (offset === stream.committed) continue
      epoch = stream.epoch
      moved.push({ stream, position: { topic: stream.topic, partition: stream.partition, offset } })
    }
    if (moved.length === 0) return true
    try {
      const positions = moved.map(({ position }) => position)
      if ((await this.#reader.commit(epoch, positions)) === 'stale') return true
    } catch (thrown) {
      const error = asLabelstreamError(thrown)
      if (error.disposition !== 'retry') throw error
      this.#metrics.retried(error.code, error.message)
      return false
    }
    for (const { stream, position } of moved) {
      stream.committed = position.offset
      this.#metrics.committed(stream.topic, stream.partition, position.offset)
    }
    return true
  }
}
