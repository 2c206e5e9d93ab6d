import { InferenceSession, listSupportedBackends } from 'onnxruntime-node'
import { monotonicMs } from '../core/clock.ts'
import { asLabelstreamError, LabelstreamError, messageOf } from '../core/errors.ts'
import type { ModelConfig } from '../encoders/config.ts'
import { outputWidth } from '../encoders/output.ts'
import { padWindows, tilesOf } from './batch.ts'
import type {
  BatchResult,
  ConcretePrecision,
  ConcreteProvider,
  GraphKind,
  PackedWindows,
  ProductRate,
  SessionInfo,
  SessionRate,
  SessionRequest,
} from './messages.ts'
import { feedsOf, type MakeFeeds, resultName } from './feeds.ts'
import { modelGraphOf } from './graph-cache.ts'
import { graphCandidates } from './graph-form.ts'
import { hasStoredGraph } from './model-config.ts'
import { precisionOn, storedPrecisionOn } from './precision.ts'
import { sessionOptions, threadCount } from './session-options.ts'
import { tileTokens } from './tile.ts'

/** A few shapes run once at the start, [rows, columns]: the first run of a session plans and allocates. */
const warmUpShapes = [
  [1, 16],
  [8, 32],
  [4, 128],
] as const

/** One encoder in one ONNX Runtime session. Lives in the inference process. */
export class EncoderSession {
  readonly info: SessionInfo
  readonly #session: InferenceSession
  readonly #output: string
  readonly #feeds: MakeFeeds
  readonly #result: string
  readonly #folder: string
  readonly #config: ModelConfig
  readonly #threads: number
  readonly #tileTokens: number

  private constructor(
    session: InferenceSession,
    info: SessionInfo,
    config: ModelConfig,
    request: SessionRequest,
  ) {
    this.#session = session
    this.info = info
    this.#config = config
    this.#output = request.output
    this.#feeds = feedsOf(session, request.folder)
    this.#result = resultName(session, request.output, request.folder)
    this.#folder = request.folder
    this.#threads = request.threads
    this.#tileTokens = tileTokens(config, info.provider, threadCount(request.threads))
  }

  /** Builds the graph, starts the first provider that works and runs a few shapes. Throws what went wrong. */
  static async open(request: SessionRequest): Promise<EncoderSession> {
    const { session, config, provider, precision, graph, fallback } = await createSession(request)
    const width = outputWidth(config, request.output)
    const info: SessionInfo = {
      provider,
      precision,
      graph,
      width,
      ...(fallback === undefined ? {} : { providerFallback: fallback }),
    }
    const encoder = new EncoderSession(session, info, config, request)
    for (const [rows, columns] of warmUpShapes)
      await encoder.#warmUp(rows, Math.min(columns, config.maxPositions))
    return encoder
  }

  /** On the CPU, numbers that are none are the model's own fault. */
  async #warmUp(rows: number, columns: number): Promise<void> {
    const mask = new Int32Array(rows * columns).fill(1)
    const values = await this.#compute(rows, columns, new Int32Array(rows * columns), mask)
    const { provider, precision, width } = this.info
    if (values.length !== rows * width) {
      throw new LabelstreamError(
        'MODEL_CORRUPT',
        `${this.#folder}: its graph answers with ${values.length / rows} numbers a text, config.json has ${width} labels`,
      )
    }
    if (values.every(Number.isFinite)) return
    throw new LabelstreamError(
      provider === 'cpu' ? 'MODEL_CORRUPT' : 'INFERENCE_FAILED',
      `${this.#folder}: its ${this.#output} are not all numbers (${provider}, ${precision})`,
    )
  }

  /**
   * In tiles that the processor's caches like. Rejects with INFERENCE_FAILED, or with SETTING_INVALID where a window is
   * longer than the encoder's positions.
   */
  async run(windows: PackedWindows): Promise<BatchResult> {
    const { width } = this.info
    const values = new Float32Array(windows.lengths.length * width)
    let [filled, seconds, paddedTokens] = [0, 0, 0]
    for (const tile of tilesOf(windows, this.#tileTokens)) {
      const result = await this.#runTile(tile)
      values.set(result.values, filled)
      filled += result.values.length
      seconds += result.seconds
      paddedTokens += result.paddedTokens
    }
    return { values, width, seconds, paddedTokens }
  }

  async #runTile(windows: PackedWindows): Promise<Omit<BatchResult, 'width'>> {
    const { rows, columns, inputIds, attentionMask } = padWindows(windows)
    const { maxPositions } = this.#config
    if (columns > maxPositions) {
      throw new LabelstreamError(
        'SETTING_INVALID',
        `a window of ${columns} tokens is longer than the ${maxPositions} positions of the encoder`,
      )
    }
    const startedMs = monotonicMs()
    const values = await this.#compute(rows, columns, inputIds, attentionMask)
    const seconds = (monotonicMs() - startedMs) / 1000
    if (values.length !== rows * this.info.width || !values.every(Number.isFinite)) {
      throw new LabelstreamError(
        'INFERENCE_FAILED',
        `the session answered ${rows} windows with values that are not all numbers`,
      )
    }
    return { values, seconds, paddedTokens: rows * columns }
  }

  /** Batches back to back: how fast the session is when nothing is around it. */
  async measure(batches: readonly PackedWindows[]): Promise<SessionRate> {
    let rate: SessionRate = { seconds: 0, rows: 0, realTokens: 0, paddedTokens: 0 }
    for (const batch of batches) {
      const { seconds, paddedTokens } = await this.run(batch)
      rate = {
        seconds: rate.seconds + seconds,
        rows: rate.rows + batch.lengths.length,
        realTokens: rate.realTokens + batch.ids.length,
        paddedTokens: rate.paddedTokens + paddedTokens,
      }
    }
    return rate
  }

  /**
   * The encoder's products alone, as fast as this session's provider, precision and threads make them, over at most
   * as many rows as go through it at once.
   */
  async measureProducts(rows: number, repetitions: number): Promise<ProductRate> {
    const { provider, precision } = this.info
    // loaded here, because serving needs none of it
    const { measureProducts } = await import('./product-rate.ts')
    return measureProducts(this.#config, precision, sessionOptions(provider, this.#threads), {
      rows: Math.min(rows, this.#tileTokens),
      repetitions,
    })
  }

  async #compute(rows: number, columns: number, ids: Int32Array, mask: Int32Array): Promise<Float32Array> {
    try {
      const outputs = await this.#session.run(this.#feeds(rows, columns, ids, mask))
      const data = outputs[this.#result]?.data
      if (data instanceof Float32Array) return data
    } catch (error) {
      throw new LabelstreamError('INFERENCE_FAILED', `${rows} windows of ${columns}: ${messageOf(error)}`, {
        cause: error,
      })
    }
    throw new LabelstreamError('INFERENCE_FAILED', `the session has no float32 output ${this.#result}`)
  }
}

interface CreatedSession {
  readonly session: InferenceSession
  readonly config: ModelConfig
  readonly provider: ConcreteProvider
  readonly precision: ConcretePrecision
  readonly graph: GraphKind
  readonly fallback?: string
}

/** The first provider that takes the model, and why those before it did not. */
async function createSession(request: SessionRequest): Promise<CreatedSession> {
  const built = new Set(listSupportedBackends().map(({ name }) => name))
  // loaded where it is needed: most models are built, and start without it
  const stored = hasStoredGraph(request)
    ? await (await import('./stored-graph.ts')).readStoredGraph(request)
    : undefined
  const reasons: string[] = []
  for (const provider of request.providers) {
    let precision: ConcretePrecision
    try {
      if (!built.has(provider)) {
        throw new LabelstreamError('SETTING_INVALID', 'not part of ONNX Runtime on this platform')
      }
      precision =
        stored === undefined
          ? precisionOn(provider, request)
          : storedPrecisionOn(provider, stored.precision, request.precision)
    } catch (error) {
      reasons.push(`${provider}: ${asLabelstreamError(error).message}`)
      continue
    }
    // a graph that is stored has no forms to choose from
    const wanted = stored === undefined ? request.graph : 'plain'
    for (const { graph, form } of graphCandidates(provider, precision, wanted)) {
      // a damaged model is no provider's fault: what this throws ends the start
      const { config, onnx } = stored ?? (await modelGraphOf(request, precision, form))
      // the weights as they were read are garbage by now, and would add to the peak while the session is made
      globalThis.gc?.()
      try {
        const options = sessionOptions(provider, request.threads)
        const session = await (typeof onnx === 'string'
          ? InferenceSession.create(onnx, options)
          : InferenceSession.create(onnx, options))
        const fallback = reasons.length === 0 ? {} : { fallback: reasons.join('; ') }
        return { session, config, provider, precision, graph, ...fallback }
      } catch (error) {
        const tried = graph === 'plain' ? provider : `${provider}, ${graph} graph`
        reasons.push(`${tried}: ${asLabelstreamError(error).message}`)
      }
    }
  }
  throw new LabelstreamError(
    'MODEL_UNSUPPORTED',
    `no execution provider takes the model: ${reasons.join('; ')}`,
  )
}
