import { Inference, type InferenceOptions } from './inference.ts'
import { threadCount } from './session-options.ts'
import type { BatchResult, ProcessMemory, ProductRate, SessionInfo, SessionRate } from './messages.ts'

export interface InferencePoolOptions extends InferenceOptions {
  /** How many processes there are, each with a session of its own and `threads` threads (1). */
  readonly processes?: number
}

interface Member {
  readonly inference: Inference
  runs: number
}

/**
 * One encoder in several processes. Each batch goes to the process with the fewest under way; a process that is being
 * replaced gets none while another one serves.
 */
export class InferencePool {
  readonly #first: Inference
  readonly #members: readonly Member[]
  /** Threads of each process. */
  readonly threads: number

  private constructor(inferences: readonly [Inference, ...Inference[]], threads: number) {
    this.threads = threadCount(threads)
    this.#first = inferences[0]
    this.#members = inferences.map((inference) => ({ inference, runs: 0 }))
  }

  /** Resolves when one session is warm; the others follow, from the graph that it wrote. Throws as Inference.start. */
  static async start({ processes = 1, ...options }: InferencePoolOptions): Promise<InferencePool> {
    const first = await Inference.start(options)
    const others = Array.from({ length: processes - 1 }, () => Inference.follow(options, first.info))
    return new InferencePool([first, ...others], options.threads)
  }

  /** Resolves when all sessions are warm. Rejects with why one cannot be had. */
  async warm(): Promise<void> {
    await Promise.all(this.#members.map(({ inference }) => inference.warm()))
  }

  /** All processes serve the same model in the same precision. */
  get info(): SessionInfo {
    return this.#first.info
  }

  get processes(): number {
    return this.#members.length
  }

  /** Of the first process. */
  get pid(): number | undefined {
    return this.#first.pid
  }

  /** Of all serving processes together, as of their last answers; the peak is the sum of theirs. */
  get memory(): ProcessMemory {
    const all = this.#members.map(({ inference }) => inference.memory)
    return {
      residentBytes: all.reduce((sum, { residentBytes }) => sum + residentBytes, 0),
      peakBytes: all.reduce((sum, { peakBytes }) => sum + peakBytes, 0),
    }
  }

  /** As Inference.run; several runs may be under way, and end in any order. */
  async run(windows: readonly Int32Array[]): Promise<BatchResult> {
    const member = this.#members.reduce((best, other) => (load(other) < load(best) ? other : best))
    member.runs++
    try {
      return await member.inference.run(windows)
    } finally {
      member.runs--
    }
  }

  /** Batches back to back in all processes at once, and nothing else: what `bench` compares with. */
  async measure(batches: readonly (readonly Int32Array[])[]): Promise<SessionRate> {
    const shares = this.#members.map((_member, index) =>
      batches.filter((_batch, place) => place % this.#members.length === index),
    )
    const rates = await Promise.all(
      this.#members.map(({ inference }, index) => inference.measure(shares[index] ?? [])),
    )
    return rates.reduce((sum, rate) => ({
      seconds: Math.max(sum.seconds, rate.seconds),
      rows: sum.rows + rate.rows,
      realTokens: sum.realTokens + rate.realTokens,
      paddedTokens: sum.paddedTokens + rate.paddedTokens,
    }))
  }

  /** As Inference.measureProducts, in all processes at once: their multiply-adds together, in the time of the slowest. */
  async measureProducts(rows: number, repetitions: number): Promise<ProductRate> {
    const rates = await Promise.all(
      this.#members.map(({ inference }) => inference.measureProducts(rows, repetitions)),
    )
    return rates.reduce((sum, rate) => ({
      ...rate,
      seconds: Math.max(sum.seconds, rate.seconds),
      multiplyAdds: sum.multiplyAdds + rate.multiplyAdds,
    }))
  }

  /** Ends all processes; runs in flight reject. */
  async close(): Promise<void> {
    await Promise.all(this.#members.map(({ inference }) => inference.close()))
  }
}

/** One that is being replaced comes after all that serve, however much they have to do. */
const load = ({ inference, runs }: Member): number => runs + (inference.replacing ? 1e6 : 0)
