import { createRequire } from 'node:module'

/** kafkajs's queue of requests to one broker, which it does not declare. */
interface RequestQueue {
  /** Requests that wait for others to be answered, or for the end of a throttling. */
  readonly pending: readonly unknown[]
  scheduleCheckPendingRequests: (this: RequestQueue) => void
}

const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as {
  readonly prototype: RequestQueue
}
const { scheduleCheckPendingRequests: schedule } = prototype

/**
 * Lets kafkajs 2.2.4 look after requests that wait only where some do. Left alone it does so every millisecond for each
 * connection as long as the process lives, asking for a timer of a negative time, of which Node 24 warns (its issues 1556,
 * 1704 and 1751). It is global to kafkajs; doing it twice is harmless.
 */
export function restIdleQueues(): void {
  prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0) schedule.call(this)
  }
}
