import { asLabelstreamError } from '../core/errors.ts'
import { Committer } from './commits.ts'
import type { Delivery, DeliveryEffects } from './delivery.ts'
import { halves, type OutgoingBatch, type OutputPlan } from './output-plan.ts'
import type { PartitionStream } from './partition-stream.ts'
import type { PipelineMetrics, ReaderPort, WriterPort } from './ports.ts'

/**
 * Outcomes are written as soon as they are ready, and the offsets of what is durable are committed now and then.
 * After a crash what was written and not committed is written again.
 */
export class AtLeastOnce implements Delivery {
  readonly #writer: WriterPort
  readonly #plan: OutputPlan
  readonly #effects: DeliveryEffects
  readonly #committer: Committer
  #sending = 0

  constructor(
    ports: { readonly writer: WriterPort; readonly reader: ReaderPort; readonly metrics: PipelineMetrics },
    plan: OutputPlan,
    options: { readonly commitIntervalMs: number },
    effects: DeliveryEffects,
  ) {
    this.#writer = ports.writer
    this.#plan = plan
    this.#effects = effects
    this.#committer = new Committer(ports.reader, ports.metrics, effects.streams, {
      intervalMs: options.commitIntervalMs,
      failed: effects.failed,
    })
  }

  get idle(): boolean {
    return this.#sending === 0
  }

  ready(stream: PartitionStream): void {
    void this.#publish(stream)
  }

  drain(): void {
    // nothing waits
  }

  /** The next owner then repeats less. */
  revoked(): void {
    this.#committer.commitNow()
  }

  finish(): Promise<void> {
    return this.#committer.finish()
  }

  /** Publishes all that is ready in a partition, one run at a time. */
  async #publish(stream: PartitionStream): Promise<void> {
    for (;;) {
      const run = stream.live ? stream.sequencer.take() : []
      if (run.length === 0) return
      this.#sending++
      try {
        await Promise.all(this.#plan.batches(stream.partition, run).map((batch) => this.#send(batch)))
        this.#effects.acknowledged(stream, run)
      } catch (thrown) {
        this.#effects.failed(asLabelstreamError(thrown))
        return
      } finally {
        this.#sending--
      }
    }
  }

  /** Halves what a topic with a small `max.message.bytes` refuses: its limit is for the whole send. */
  async #send(batch: OutgoingBatch): Promise<void> {
    try {
      await this.#writer.send(batch.topic, batch.partition, batch.messages)
    } catch (thrown) {
      const error = asLabelstreamError(thrown)
      if (error.code !== 'RECORD_TOO_LARGE' || batch.messages.length === 1) throw error
      for (const half of halves(batch)) await this.#send(half)
    }
  }
}
