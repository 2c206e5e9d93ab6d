import { setFlagsFromString } from 'node:v8'

/**
 * Collects garbage once the heap has grown by half since the last full collection; by default V8 lets it grow to up to four
 * times what was alive. A stream's garbage is messages that are done: waiting with it brings nothing (docs/performance.md).
 * Holds for this process's threads too. A V8 that does not know the flag says so and goes on.
 */
export function growHeapByHalf(): void {
  setFlagsFromString('--heap-growing-percent=50')
}
