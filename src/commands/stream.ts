import { readSecret } from '../core/files.ts'
import { growHeapByHalf } from '../core/heap.ts'
import { isLoopback } from '../core/loopback.ts'
import { writerSchemas } from '../formats/avro-value.ts'
import { deadLetter } from '../formats/dead-letter.ts'
import { decodeInput } from '../formats/input.ts'
import { labelScoresEncoder } from '../formats/scores.ts'
import { endOffsets } from '../kafka/admin.ts'
import type { KafkaClient } from '../kafka/connect.ts'
import { Reader } from '../kafka/reader.ts'
import { type Model, openModel } from '../models/folder.ts'
import type { Settings } from '../settings/catalogue.ts'
import type { ModelReload } from '../stream/model-reload.ts'
import { chooseBudget } from '../stream/batch-budget.ts'
import { Pipeline } from '../stream/pipeline.ts'
import type { PipelineTotals } from '../stream/totals.ts'
import { Serving } from '../stream/serving.ts'
import { HttpSurface } from '../telemetry/http.ts'
import type { Logger } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { RetryLog } from '../telemetry/retry-log.ts'
import { type OnEndToEnd, StreamMetrics } from '../telemetry/stream-metrics.ts'
import { connectOutput, type StreamOutput } from './delivery.ts'
import { inputOptionsOf } from './input-options.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { PeakMemory } from './memory.ts'
import { modelsFolderOf } from './models-folder.ts'
import { registryOf, scoresHeader } from './registry-client.ts'
import { describeModel, modelReloadOf } from './reload.ts'
import { cacheFolder, processPlanOf, servingOptionsOf } from './serving-options.ts'
import { requireTopics } from './topics.ts'

/** The main job, running: what `run`, `demo` and `bench` start. */
export class Stream {
  readonly metricsUrl: string
  readonly #settings: Settings
  readonly #client: KafkaClient
  readonly #pipeline: Pipeline
  readonly #output: StreamOutput
  readonly #http: HttpSurface
  readonly #reload: ModelReload<Serving>
  readonly #peak: PeakMemory

  private constructor(parts: {
    settings: Settings
    client: KafkaClient
    reload: ModelReload<Serving>
    peak: PeakMemory
    pipeline: Pipeline
    output: StreamOutput
    http: HttpSurface
  }) {
    this.#settings = parts.settings
    this.#client = parts.client
    this.#pipeline = parts.pipeline
    this.#output = parts.output
    this.#http = parts.http
    this.#reload = parts.reload
    this.#peak = parts.peak
    this.metricsUrl = `${parts.http.url}/metrics`
  }

  /**
   * Checks the model, then warms an inference process while the brokers are asked, then joins the group: a member
   * that cannot score must not be given partitions. Throws what is wrong first (model, topics, inference, in that
   * order, however long each takes); then nothing is left running.
   */
  static async start(settings: Settings, log: Logger, onEndToEnd?: OnEndToEnd): Promise<Stream> {
    growHeapByHalf()
    const client = kafkaClientOf(settings, log)
    const registry = registryOf(settings)
    const closers: (() => Promise<void>)[] = []
    try {
      const model = await openModel(settings.model, modelsFolderOf(settings))
      const metrics = new Metrics()
      const streamMetrics = new StreamMetrics(metrics, onEndToEnd, new RetryLog(log))
      let missing: string | null = 'the model is being loaded'
      const http = await HttpSurface.start({
        host: settings['http.host'],
        port: settings['http.port'],
        metrics,
        notReady: () => missing,
        token: httpTokenOf(settings, log),
      })
      closers.push(() => http.close())

      const planning = processPlanOf(settings, log, model)
      const serve = async (version: Model, signal?: AbortSignal): Promise<Serving> =>
        Serving.start(version, {
          ...servingOptionsOf(settings, log),
          ...(await planning),
          ...(signal === undefined ? {} : { signal }),
          onRestart: (reason) => {
            streamMetrics.inferenceRestarted(reason)
          },
        })
      const warming = serve(model)
      // looked at in its turn, and until then no rejection that nobody handles
      warming.catch(() => undefined)
      closers.push(() => closeStarted(warming))
      await requireTopics(client, settings, ['input.topic', 'output.topic', 'deadLetters.topic'])
      const header =
        registry === undefined
          ? undefined
          : await scoresHeader(registry, settings['output.topic'], (fault) => {
              streamMetrics.retried(fault.code, fault.message)
            })
      const output = await connectOutput(client, settings, streamMetrics)
      closers.push(() => output.close())
      const serving = await warming
      log.info('model is warm', describeModel(serving, settings, metrics, log))

      const onRetry = (code: string, message: string): void => {
        streamMetrics.retried(code, message)
      }
      const schemas = writerSchemas(registry)
      const inputOptions = inputOptionsOf(settings)
      const pipeline = await Pipeline.create(
        {
          topics: { scores: settings['output.topic'], deadLetters: settings['deadLetters.topic'] },
          limits: {
            budgetTokens: settings['batch.budgetTokens'] || (await budgetOf(serving, log)),
            maxRows: settings['batch.maxRows'],
            maxWaitMs: settings['batch.maxWaitMs'],
          },
          maxInFlightBytes: settings['stream.maxInFlightBytes'],
          cacheEntries: settings['stream.cacheEntries'],
          commitIntervalMs: settings['stream.commitIntervalMs'],
          transactions: {
            transactionMs: settings['exactlyOnce.transactionMs'],
            transactionMessages: settings['exactlyOnce.transactionMessages'],
          },
        },
        {
          writer: output.writer,
          scorer: serving.scorer,
          metrics: streamMetrics,
          formats: {
            decodeInput: (message) => decodeInput(message, inputOptions, schemas),
            encodeScores: labelScoresEncoder(header),
            deadLetter,
          },
        },
      )
      missing = 'no partitions are assigned yet'
      const reader = await Reader.create(
        client,
        {
          group: settings.group,
          topics: [settings['input.topic']],
          fromBeginning: settings['input.startAt'] === 'earliest',
          sessionTimeoutMs: settings['kafka.sessionTimeoutMs'],
          ...fetchSizes(settings['stream.maxInFlightBytes']),
          onRetry,
          ...output.readerOptions,
        },
        {
          ...pipeline.handlers,
          assigned: (epoch, partitions) => {
            missing = null
            log.info('partitions assigned', {
              epoch,
              partitions: partitions.map(({ partition }) => partition).join(','),
            })
            pipeline.handlers.assigned(epoch, partitions)
          },
          revoked: (epoch) => {
            missing = 'the group is rebalancing'
            pipeline.handlers.revoked(epoch)
          },
        },
      )
      const peak = new PeakMemory()
      const reload = await modelReloadOf({
        settings,
        log,
        metrics,
        serving,
        serve,
        peak,
        swap: (scorer) => pipeline.swap(scorer),
      })
      await pipeline.start(reader)
      if (settings['models.pollMs'] > 0) reload.watch(settings['models.pollMs'])
      return new Stream({ settings, client, reload, peak, pipeline, output, http })
    } catch (error) {
      for (const close of closers.reverse()) await close()
      throw error
    }
  }

  /** The model that texts are given to now. */
  get serving(): Serving {
    return this.#reload.serving
  }

  /** Of all processes of the stream together, in bytes. */
  get peakMemoryBytes(): number {
    this.#peak.note(this.serving.inference)
    return this.#peak.bytes
  }

  get totals(): PipelineTotals {
    return this.#pipeline.totals
  }

  /** Rejects when the stream fails; resolves after `stop`. */
  get finished(): Promise<void> {
    return this.#pipeline.finished
  }

  /** Resolves when everything up to the end offsets of now is finished. */
  async untilEnd(): Promise<void> {
    const topic = this.#settings['input.topic']
    const ends = await endOffsets(this.#client, topic)
    await this.#pipeline.untilEnd([...ends].map(([partition, offset]) => ({ topic, partition, offset })))
  }

  /** Finishes what is in flight within `stream.drainMs`, commits, leaves the group, ends the processes. */
  async stop(): Promise<void> {
    const reloadClosed = this.#reload.close()
    try {
      await this.#pipeline.stop({ deadlineMs: this.#settings['stream.drainMs'] })
    } finally {
      await reloadClosed
      await Promise.all([this.#output.close(), this.serving.close(), this.#http.close()])
    }
  }
}

/** Closes what was being started, once it stands; why it did not start was told already, or does not matter any more. */
async function closeStarted(starting: Promise<{ close(): Promise<void> }>): Promise<void> {
  const [started] = await Promise.allSettled([starting])
  if (started.status === 'fulfilled') await started.value.close()
}

/** The token budget that is fastest here. */
async function budgetOf({ inference, model, scorer }: Serving, log: Logger): Promise<number> {
  const { budgetTokens, why } = await chooseBudget(
    {
      session: inference,
      info: inference.info,
      processes: inference.processes,
      threads: inference.threads,
      modelDigest: model.digest,
      maxTokens: scorer.maxTokens,
    },
    cacheFolder,
  )
  log.info('batch budget chosen', { budgetTokens, why })
  return budgetTokens
}

/** The token that metrics ask for; a warning where nothing keeps other machines from reading them. */
function httpTokenOf(settings: Settings, log: Logger): string | undefined {
  const file = settings['http.tokenFile']
  if (file !== '') return readSecret('http.tokenFile', file)
  const host = settings['http.host']
  if (!isLoopback(host)) {
    log.warn('metrics are open to other machines: set http.tokenFile, or http.host to 127.0.0.1', { host })
  }
  return undefined
}

/**
 * An answer of a broker is decoded as a whole, into several times its bytes: a quarter of what may be in flight, and of that a
 * quarter a partition. A larger message comes nevertheless, alone.
 */
const fetchSizes = (maxInFlightBytes: number): { maxBytes: number; maxBytesPerPartition: number } => ({
  maxBytes: Math.floor(maxInFlightBytes / 4),
  maxBytesPerPartition: Math.min(1_048_576, Math.floor(maxInFlightBytes / 16)),
})
