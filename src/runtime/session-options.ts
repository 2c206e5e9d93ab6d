import type { InferenceSession } from 'onnxruntime-node'
import { usableCores } from '../core/cores.ts'
import type { ConcreteProvider } from './messages.ts'

/** The setting's 0 is one thread a core. */
export const threadCount = (threads: number): number => (threads === 0 ? usableCores() : threads)

/** Options of an inference session. */
export function sessionOptions(provider: ConcreteProvider, threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: threadCount(threads),
    interOpNumThreads: 1,
    // the arena keeps its high-water mark and stays there; a memory pattern would be kept for every shape ever seen,
    // and batches come in thousands of shapes (30 MB less for MiniLM, no slower)
    enableCpuMemArena: true,
    enableMemPattern: false,
    // errors only: warnings are about graph details that nobody who runs this can change
    logSeverityLevel: 3,
    extra: {
      session: {
        // waiting threads would burn the processor time that tokenising and Kafka need: on two busy cores a second
        // of processor time brought 7,000 tokens without spinning and 4,600 with it
        intra_op: { allow_spinning: '0' },
      },
    },
  }
}
