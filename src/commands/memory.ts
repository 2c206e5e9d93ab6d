import type { ProcessMemory } from '../runtime/messages.ts'

interface HasMemory {
  readonly memory: ProcessMemory
}

/** Peak resident memory of this process and its inference processes together: the sum of their peaks. */
export class PeakMemory {
  #inferenceBytes = 0

  /** These inference processes run at the same time. */
  note(...inferences: readonly HasMemory[]): void {
    const sum = inferences.reduce((bytes, { memory }) => bytes + memory.peakBytes, 0)
    this.#inferenceBytes = Math.max(this.#inferenceBytes, sum)
  }

  get bytes(): number {
    // maxRSS is in kilobytes
    return process.resourceUsage().maxRSS * 1024 + this.#inferenceBytes
  }
}
