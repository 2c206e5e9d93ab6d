import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Random } from '../../src/core/random.ts'
import type { OutgoingMessage, Position, SourceMessage } from '../../src/formats/message.ts'
import type { TransactionPort, WriterPort } from '../../src/stream/ports.ts'
import { type PretendedText, valueOf } from './pretended-text.ts'

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

function sourceOf(message: OutgoingMessage): Pick<Outcome, 'partition' | 'offset' | 'version'> {
  assert.ok(message.value !== null)
  type Written = { partition: number; offset: number; version?: number }
  const { partition, offset, version } = JSON.parse(message.value.toString()) as Written
  return { partition, offset, ...(version === undefined ? {} : { version }) }
}
