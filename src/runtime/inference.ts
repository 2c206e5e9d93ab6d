import { sleep } from '../core/clock.ts'
import { asLabelstreamError, LabelstreamError } from '../core/errors.ts'
import { packWindows } from './batch.ts'
import { InferenceChild } from './inference-child.ts'
import type { EndReason, LogSink, Reply } from './inference-child.ts'
import type {
  BatchResult,
  GraphKind,
  InferenceRequest,
  Output,
  Precision,
  ProcessMemory,
  ProductRate,
  Provider,
  SessionInfo,
  SessionRate,
  SessionRequest,
} from './messages.ts'
import { providerCandidates, thisMachine } from './provider.ts'

export interface InferenceOptions {
  /** A model folder with config.json and model.safetensors. */
  readonly folder: string
  readonly output: Output
  readonly provider: Provider
  readonly precision: Precision
  /** What precision `auto` is on the CPU (fp32): int8 only for a model whose int8 scores were compared with fp32. */
  readonly autoOnCpu?: 'fp32' | 'int8'
  /** What the encoder's graph is made of on CUDA (plain). */
  readonly graph?: GraphKind
  /** Threads of the session; 0 is one a core. */
  readonly threads: number
  /** The longest one batch may take before the process is killed and replaced. */
  readonly deadlineMs: number
  /** SHA-256 by file name, as in the manifest; a file that differs is never parsed. */
  readonly expectedDigests?: Readonly<Record<string, string>>
  /** Where graphs are kept from one start to the next; nowhere unless given. */
  readonly graphFolder?: string
  /** Ends a start that is under way: it then rejects with INFERENCE_CRASHED. */
  readonly signal?: AbortSignal
  readonly onRestart?: (reason: EndReason) => void
  readonly onLog?: LogSink
}

/** Reading, verifying and optimising a model of a gigabyte takes this long on a slow disk. */
const startDeadlineMs = 300_000
const firstPauseMs = 100
const longestPauseMs = 30_000

/**
 * An encoder in a process of its own: a crash, a leak or a hang there never stops this process. A process that ends
 * is replaced by itself, after a pause that doubles from one failure to the next.
 */
export class Inference {
  readonly #options: InferenceOptions
  readonly #session: SessionRequest
  readonly #log: LogSink
  readonly #closing = new AbortController()
  #info: SessionInfo
  #child: InferenceChild | undefined
  /** The process that serves, once it is warm; rejects when none can be had any more. */
  #serving: Promise<InferenceChild>
  #replacing = false
  #failures = 0
  #peakBytes = 0

  private constructor(
    options: InferenceOptions,
    session: SessionRequest,
    info: SessionInfo,
    started?: InferenceChild,
  ) {
    this.#options = options
    this.#session = session
    this.#log = options.onLog ?? (() => undefined)
    this.#info = info
    this.#child = started
    this.#serving = started === undefined ? this.#begin() : Promise.resolve(started)
    if (started !== undefined) this.#supervise(started)
  }

  /**
   * Resolves when the session is warm. Throws what the process reports (FILE_UNREADABLE, MODEL_CORRUPT,
   * MODEL_UNSUPPORTED, SETTING_INVALID), INFERENCE_CRASHED or INFERENCE_HUNG.
   */
  static async start(options: InferenceOptions): Promise<Inference> {
    const log = options.onLog ?? (() => undefined)
    const providers = providerCandidates(options.provider, thisMachine)
    const { child, session, info } = await startFirst(requestOf(options, providers), log, options.signal)
    const fallback = info.providerFallback
    if (fallback !== undefined) log('warn', `running on ${info.provider}: ${fallback}`)
    return new Inference(options, session, info, child)
  }

  /** Another process for what `info` describes. Its session is being started; runs wait for it. */
  static follow(options: InferenceOptions, info: SessionInfo): Inference {
    const request = requestOf({ ...options, precision: info.precision, graph: info.graph }, [info.provider])
    return new Inference(options, request, info)
  }

  /** Resolves when the session is warm; rejects with why none can be had. */
  async warm(): Promise<void> {
    await this.#serving
  }

  /** Whether a process is on its way; runs wait for it. */
  get replacing(): boolean {
    return this.#replacing
  }

  /** Of the process that serves now. */
  get info(): SessionInfo {
    return this.#info
  }

  /** The process that serves now; another one after a restart. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Of the serving process, as of its last answer; the peak is over all processes so far. */
  get memory(): ProcessMemory {
    const { residentBytes, peakBytes } = this.#child?.memory ?? { residentBytes: 0, peakBytes: 0 }
    return { residentBytes, peakBytes: Math.max(this.#peakBytes, peakBytes) }
  }

  /**
   * One row of values a window, in order. Several runs may be under way: the process computes them one after the
   * other without pause between. Waits while a process is being replaced. Rejects with INFERENCE_FAILED (the session
   * reported an error or values that are not numbers), INFERENCE_CRASHED or INFERENCE_HUNG (the process ended; run it
   * again, in halves), and SETTING_INVALID for a window longer than the encoder's positions.
   */
  async run(windows: readonly Int32Array[]): Promise<BatchResult> {
    if (windows.length === 0) {
      return { values: new Float32Array(0), width: this.info.width, seconds: 0, paddedTokens: 0 }
    }
    const reply = await this.#ask({ type: 'run', windows: packWindows(windows) }, this.#options.deadlineMs)
    if (reply.type !== 'result') throw unexpected(reply)
    return reply.result
  }

  /** Runs whole batches back to back in the same session and the same process: what `bench` compares with. */
  async measure(batches: readonly (readonly Int32Array[])[]): Promise<SessionRate> {
    const packed = batches.map(packWindows)
    const deadlineMs = this.#options.deadlineMs * Math.max(1, batches.length)
    const reply = await this.#ask({ type: 'measure', batches: packed }, Math.min(deadlineMs, 2 ** 31 - 1))
    if (reply.type !== 'measured') throw unexpected(reply)
    return reply.rate
  }

  /**
   * Runs the encoder's matrix products alone over `rows` tokens, in the same precision and process: what the
   * arithmetic allows. Rejects as `run`.
   */
  async measureProducts(rows: number, repetitions: number): Promise<ProductRate> {
    const request = { type: 'measureProducts', rows, repetitions } as const
    const reply = await this.#ask(request, Math.min(this.#options.deadlineMs * repetitions, 2 ** 31 - 1))
    if (reply.type !== 'measuredProducts') throw unexpected(reply)
    return reply.rate
  }

  /** Ends the process; runs in flight reject. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#child?.close()
    // a replacement may have been on its way
    await this.#serving.catch(() => undefined)
    await this.#child?.close()
  }

  async #ask(request: InferenceRequest, deadlineMs: number): Promise<Reply> {
    if (this.#closing.signal.aborted) throw closed()
    const child = await this.#serving
    const reply = await child.request(request, deadlineMs)
    this.#failures = 0
    return reply
  }

  #supervise(child: InferenceChild): void {
    const replace = (reason: EndReason): void => {
      this.#peakBytes = Math.max(this.#peakBytes, child.memory.peakBytes)
      if (this.#closing.signal.aborted) return
      this.#log('warn', `the inference process ${reason}; starting another`)
      this.#serving = this.#begin()
      this.#options.onRestart?.(reason)
    }
    if (!child.whenEnded(replace)) replace('crashed')
  }

  /** A process that is on its way. Whoever runs next sees the rejection. */
  #begin(): Promise<InferenceChild> {
    this.#replacing = true
    const coming = this.#replace().finally(() => {
      this.#replacing = false
    })
    coming.catch(() => undefined)
    return coming
  }

  async #replace(): Promise<InferenceChild> {
    for (;;) {
      if (this.#failures > 0) {
        await sleep(Math.min(longestPauseMs, firstPauseMs * 2 ** (this.#failures - 1)), this.#closing.signal)
      }
      this.#failures += 1
      if (this.#closing.signal.aborted) throw closed()
      const child = new InferenceChild(this.#log)
      this.#child = child
      try {
        this.#info = await startSession(child, this.#session)
        this.#supervise(child)
        return child
      } catch (error) {
        await child.close()
        const fault = asLabelstreamError(error)
        // a model that is damaged or gone will not get better by trying again
        if (fault.disposition === 'refuse') throw fault
        this.#log('warn', `the inference process did not start: ${fault.message}`)
      }
    }
  }
}

function requestOf(options: InferenceOptions, providers: SessionRequest['providers']): SessionRequest {
  const {
    folder,
    output,
    precision,
    autoOnCpu = 'fp32',
    graph = 'plain',
    threads,
    expectedDigests = {},
    graphFolder,
  } = options
  const request = { folder, output, providers, precision, autoOnCpu, graph, threads, expectedDigests }
  return graphFolder === undefined ? request : { ...request, graphFolder }
}

interface Started {
  readonly child: InferenceChild
  readonly session: SessionRequest
  readonly info: SessionInfo
}

/** The first start. A provider's library can take the whole process with it: then the CPU has its turn. */
async function startFirst(session: SessionRequest, log: LogSink, signal?: AbortSignal): Promise<Started> {
  const cancelled = (): boolean => signal?.aborted === true
  if (cancelled()) throw closed()
  const child = new InferenceChild(log)
  const end = (): void => void child.close()
  signal?.addEventListener('abort', end, { once: true })
  try {
    return { child, session, info: await startSession(child, session) }
  } catch (error) {
    await child.close()
    const fault = asLabelstreamError(error)
    const [first] = session.providers
    if (fault.disposition !== 'restart' || first === 'cpu' || first === undefined || cancelled()) throw fault
    log('warn', `starting on ${first} failed: ${fault.message}`)
    const started = await startFirst({ ...session, providers: ['cpu'] }, log, signal)
    return { ...started, info: { ...started.info, providerFallback: `${first}: ${fault.message}` } }
  } finally {
    signal?.removeEventListener('abort', end)
  }
}

async function startSession(child: InferenceChild, session: SessionRequest): Promise<SessionInfo> {
  const reply = await child.request({ type: 'start', session }, startDeadlineMs)
  if (reply.type !== 'started') throw unexpected(reply)
  return reply.info
}

const closed = (): LabelstreamError => new LabelstreamError('INFERENCE_CRASHED', 'inference is closed')

const unexpected = (reply: Reply): LabelstreamError =>
  new LabelstreamError('INTERNAL', `the inference process answered with ${reply.type}`)
