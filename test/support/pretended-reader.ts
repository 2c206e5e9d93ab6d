import { setImmediate as nextTurn } from 'node:timers/promises'
import { LabelstreamError } from '../../src/core/errors.ts'
import type { Position } from '../../src/formats/message.ts'
import type { IntakeHandlers, ReaderPort } from '../../src/stream/ports.ts'
import type { StreamWorld } from './stream-world.ts'

const fetchMessages = 20

/** A consumer of the world that rebalances when told to. */
export class PretendedReader implements ReaderPort {
  readonly #world: StreamWorld
  readonly #handlers: IntakeHandlers
  #positions = new Map<number, number>()
  #paused = false
  #closed = false
  #loop: Promise<void> = Promise.resolve()

  constructor(world: StreamWorld, handlers: IntakeHandlers) {
    this.#world = world
    this.#handlers = handlers
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
        const count = 1 + random.integer(fetchMessages)
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
