import { availableParallelism } from 'node:os'
import type { InferenceSession } from 'onnxruntime-node'
import type { ConcreteProvider } from './messages.ts'

/** Options of an inference session. */
export function sessionOptions(provider: ConcreteProvider, threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: threads === 0 ? availableParallelism() : threads,
    interOpNumThreads: 1,
    // errors only: warnings are about graph details that nobody who runs this can change
    logSeverityLevel: 3,
    extra: {
      session: {
        // waiting threads would burn the processor time that tokenising and Kafka need
        intra_op: { allow_spinning: '0' },
      },
    },
  }
}
