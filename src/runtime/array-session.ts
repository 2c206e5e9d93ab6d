import * as ort from 'onnxruntime-node'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import type { ConcreteProvider } from './messages.ts'
import { threadCount } from './session-options.ts'

/** A row-major array with its shape; the graph's element type decides which of the two it is. */
export interface NumberArray {
  readonly shape: readonly number[]
  readonly values: Float32Array | Int32Array
}

export type NumberArrays = Readonly<Record<string, NumberArray>>

/**
 * onnxruntime-node 1.30 copies each result into an array of its own, also where it was given one to write to: 45 MB a step of
 * MiniLM-L6, a tenth of its time with the garbage. It does so when everything is computed and written, one output after
 * the other, and stops at a first one that is no tensor. So graphs that begin with such an output are spared the copies.
 */
export const withoutCopies = { emptySequence: 'no copies' } as const
const notConverted = 'Non tensor type is temporarily not supported.'

/** A graph in a session that reads and writes arrays of the caller; on the CPU without copies. */
export class ArraySession {
  /** Why the providers before the one that runs did not start. */
  readonly fallback: string | undefined
  readonly #session: ort.InferenceSession
  readonly #fetched: Readonly<Record<string, null>>

  private constructor(session: ort.InferenceSession, fallback: string | undefined) {
    this.#session = session
    const { emptySequence } = withoutCopies
    this.#fetched = session.outputNames.includes(emptySequence) ? { [emptySequence]: null } : {}
    this.fallback = fallback
  }

  /**
   * On the first of the providers that takes the graph. `threads` 0 takes every core. Throws TRAINING_FAILED when none
   * does.
   */
  static async create(
    onnx: Uint8Array,
    threads: number,
    providers: readonly ConcreteProvider[] = ['cpu'],
  ): Promise<ArraySession> {
    const reasons: string[] = []
    for (const provider of providers) {
      try {
        const session = await ort.InferenceSession.create(onnx, {
          executionProviders: [provider],
          intraOpNumThreads: threadCount(threads),
          interOpNumThreads: 1,
          // a memory pattern would be kept for every shape ever seen, and batches come in many
          enableMemPattern: false,
          logSeverityLevel: 3,
          extra: { session: { intra_op: { allow_spinning: '0' } } },
        })
        return new ArraySession(session, reasons.length === 0 ? undefined : reasons.join('; '))
      } catch (error) {
        reasons.push(`${provider}: ${messageOf(error)}`)
      }
    }
    throw failed(new Error(reasons.join('; ')))
  }

  /**
   * Runs once and fills the arrays of `into`, which name the wanted outputs. Throws TRAINING_FAILED.
   */
  async run(feeds: NumberArrays, into: NumberArrays): Promise<void> {
    try {
      await this.#session.run(tensorsOf(feeds), { ...this.#fetched, ...tensorsOf(into) })
    } catch (error) {
      if (messageOf(error) === notConverted) return
      throw failed(error)
    }
  }
}

function tensorsOf(arrays: NumberArrays): Record<string, ort.Tensor> {
  const tensors: Record<string, ort.Tensor> = {}
  for (const [name, { shape, values }] of Object.entries(arrays)) {
    tensors[name] =
      values instanceof Float32Array
        ? new ort.Tensor('float32', values, shape)
        : new ort.Tensor('int32', values, shape)
  }
  return tensors
}

const failed = (error: unknown): LabelstreamError =>
  new LabelstreamError('TRAINING_FAILED', `ONNX Runtime: ${messageOf(error)}`, { cause: error })
