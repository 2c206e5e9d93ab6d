import assert from 'node:assert/strict'
import { waitUntil } from '../../src/core/clock.ts'
import type { LabelstreamError } from '../../src/core/errors.ts'
import type { Position, SourceMessage } from '../../src/formats/message.ts'
import type { KafkaClient } from '../../src/kafka/connect.ts'
import { Reader } from '../../src/kafka/reader.ts'
import type { ReaderOptions } from '../../src/kafka/reader-contract.ts'
import { closeAtEnd, freshName, testClient } from './broker.ts'

/** Everything that a reader told, for tests. */
export class Listener {
  reader!: Reader
  readonly events: string[] = []
  readonly messages: SourceMessage[] = []
  readonly partitions = new Map<number, { topic: string; partition: number }[]>()
  /** topic/partition to the offset reached in the current epoch. */
  readonly positions = new Map<string, number>()
  failure: LabelstreamError | undefined
  epoch = 0
  onRevoked: (epoch: number) => void = () => {}
  onRecords: (messages: readonly SourceMessage[]) => void = () => {}

  static async start(client: KafkaClient, options: ReaderOptions): Promise<Listener> {
    const listener = new Listener()
    listener.reader = await Reader.create(client, options, {
      assigned: (epoch, partitions) => {
        listener.epoch = epoch
        listener.events.push(`assigned ${epoch}`)
        listener.positions.clear()
        listener.partitions.set(epoch, [...partitions])
      },
      revoked: (epoch) => {
        listener.events.push(`revoked ${epoch}`)
        listener.onRevoked(epoch)
      },
      records: (epoch, batch) => {
        if (epoch !== listener.epoch) throw new Error(`records of epoch ${epoch} in epoch ${listener.epoch}`)
        listener.messages.push(...batch.messages)
        listener.positions.set(`${batch.topic}/${batch.partition}`, batch.nextOffset)
        listener.onRecords(batch.messages)
      },
      failed: (error) => {
        listener.failure = error
      },
    })
    closeAtEnd(listener.reader)
    listener.reader.start()
    return listener
  }

  /** Offsets of the current epoch, ready to commit. */
  get reached(): Position[] {
    return [...this.positions].map(([key, offset]) => {
      const [topic = '', partition] = key.split('/')
      return { topic, partition: Number(partition), offset }
    })
  }

  /** Values of the messages as text, in the order in which they came. */
  get texts(): string[] {
    return this.messages.map(({ value }) => String(value))
  }

  /** Waits until `condition` holds; fails with what the reader told when it does not. */
  async until(condition: () => boolean, what: string, timeoutMs = 30_000): Promise<void> {
    await waitUntil(() => this.failure !== undefined || condition(), {
      timeoutMs,
      everyMs: 10,
      onTimeout: () =>
        new Error(
          `${what}: not within ${timeoutMs} ms; ${this.messages.length} messages, ${this.events.join(', ')}`,
        ),
    })
    if (!condition() && this.failure !== undefined) throw this.failure
  }
}

/** A message with a text value. */
export const textMessage = (value: string, key: string | null = null) => ({
  key: key === null ? null : Buffer.from(key),
  value: Buffer.from(value),
  headers: {},
})

/** A fresh group that has committed this offset of partition 0. */
export async function groupAt(topic: string, offset: number): Promise<string> {
  const group = freshName('group')
  const listener = await Listener.start(await testClient(), { group, topics: [topic] })
  await listener.until(() => listener.positions.size === 1, 'the position')
  assert.equal(await listener.reader.commit(listener.epoch, [{ topic, partition: 0, offset }]), 'committed')
  await listener.reader.close()
  return group
}
