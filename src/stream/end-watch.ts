import type { Position } from '../formats/message.ts'
import { partitionKey, type PartitionStream } from './partition-stream.ts'

/** Whether every partition of the current epoch is finished up to its end offset. */
export class EndWatch {
  readonly #ends: ReadonlyMap<string, number>
  readonly #startOffsets: () => Promise<readonly Position[]>
  readonly #reached: PromiseWithSettlers
  #starts = new Map<string, number>()
  #knownEpoch: number | undefined

  /** `startOffsets`: where the group's partitions start now (committed offset, else the log's start). */
  constructor(endOffsets: readonly Position[], startOffsets: () => Promise<readonly Position[]>) {
    this.#ends = byPartition(endOffsets)
    this.#startOffsets = startOffsets
    this.#reached = promiseWithSettlers()
  }

  get reached(): Promise<void> {
    return this.#reached.promise
  }

  /**
   * Partitions were assigned: asks where they start, because one with nothing left to read never reports progress.
   */
  async assigned(epoch: number, streams: ReadonlyMap<string, PartitionStream>): Promise<void> {
    this.#knownEpoch = undefined
    try {
      this.#starts = byPartition(await this.#startOffsets())
      this.#knownEpoch = epoch
      this.check(epoch, streams)
    } catch (error) {
      this.#reached.reject(error)
    }
  }

  /** Looks again after progress. */
  check(epoch: number, streams: ReadonlyMap<string, PartitionStream>): void {
    if (epoch !== this.#knownEpoch) return
    for (const [key, stream] of streams) {
      const done = Math.max(stream.ledger.committable() ?? 0, this.#starts.get(key) ?? 0)
      if (!stream.live || done < (this.#ends.get(key) ?? 0)) return
    }
    this.#reached.resolve()
  }
}

export interface PromiseWithSettlers {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Promise.withResolvers, which Node 20 does not have. A rejection nobody awaits is no fault. */
export function promiseWithSettlers(): PromiseWithSettlers {
  let resolve: () => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  promise.catch(() => undefined)
  return { promise, resolve, reject }
}

function byPartition(positions: readonly Position[]): Map<string, number> {
  return new Map(positions.map(({ topic, partition, offset }) => [partitionKey(topic, partition), offset]))
}
