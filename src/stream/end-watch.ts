import type { Position } from '../formats/message.ts'
import { partitionKey, type PartitionStream } from './partition-stream.ts'

/** Waits until every partition of the current assignment is finished up to its end offset. */
export class EndWatch {
  readonly #ends: ReadonlyMap<string, number>
  readonly #reached = promiseWithSettlers()

  constructor(endOffsets: readonly Position[]) {
    this.#ends = new Map(
      endOffsets.map(({ topic, partition, offset }) => [partitionKey(topic, partition), offset]),
    )
  }

  get reached(): Promise<void> {
    return this.#reached.promise
  }

  /**
   * Looks again after an assignment or progress. A partition counts only once its start is known, so a member does
   * not take one that it has not begun to read for finished.
   */
  check(streams: ReadonlyMap<string, PartitionStream>): void {
    for (const [key, stream] of streams) {
      const finished = stream.ledger.committable()
      if (finished === undefined || finished < (this.#ends.get(key) ?? 0)) return
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
