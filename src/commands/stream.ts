import { readSecret } from '../core/files.ts'
import { writerSchemas } from '../formats/avro-value.ts'
import { deadLetter } from '../formats/dead-letter.ts'
import { decodeInput } from '../formats/input.ts'
import { labelScoresEncoder, labelScoresSchemaText } from '../formats/scores.ts'
import { endOffsets } from '../kafka/admin.ts'
import type { KafkaClient } from '../kafka/connect.ts'
import { Reader } from '../kafka/reader.ts'
import { openModel } from '../models/folder.ts'
import type { Settings } from '../settings/catalogue.ts'
import { Pipeline } from '../stream/pipeline.ts'
import type { PipelineTotals } from '../stream/totals.ts'
import { Serving } from '../stream/serving.ts'
import { HttpSurface, isLoopback } from '../telemetry/http.ts'
import type { Logger } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { type OnEndToEnd, StreamMetrics } from '../telemetry/stream-metrics.ts'
import { connectOutput, type StreamOutput } from './delivery.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { modelsFolderOf } from './models-folder.ts'
import { registryOf } from './registry-client.ts'
import { servingOptionsOf } from './serving-options.ts'
import { requireTopics } from './topics.ts'

/** The main job, running: what `run`, `demo` and `bench` start. */
export class Stream {
  readonly serving: Serving
  readonly metricsUrl: string
  readonly #settings: Settings
  readonly #client: KafkaClient
  readonly #pipeline: Pipeline
  readonly #output: StreamOutput
  readonly #http: HttpSurface

  private constructor(parts: {
    settings: Settings
    client: KafkaClient
    serving: Serving
    pipeline: Pipeline
    output: StreamOutput
    http: HttpSurface
  }) {
    this.#settings = parts.settings
    this.#client = parts.client
    this.#pipeline = parts.pipeline
    this.#output = parts.output
    this.#http = parts.http
    this.serving = parts.serving
    this.metricsUrl = `${parts.http.url}/metrics`
  }

  /**
   * Checks the model, then warms the inference process while the brokers are asked, then joins the group: a member
   * that cannot score must not be given partitions. Throws what is wrong first (model, topics, inference, in that
   * order, however long each takes); then nothing is left running.
   */
  static async start(settings: Settings, log: Logger, onEndToEnd?: OnEndToEnd): Promise<Stream> {
    const client = kafkaClientOf(settings, log)
    const registry = registryOf(settings)
    const closers: (() => Promise<void>)[] = []
    try {
      const model = await openModel(settings.model, modelsFolderOf(settings))
      const metrics = new Metrics()
      const streamMetrics = new StreamMetrics(metrics, onEndToEnd)
      let missing: string | null = 'the model is being loaded'
      const http = await HttpSurface.start({
        host: settings['http.host'],
        port: settings['http.port'],
        metrics,
        notReady: () => missing,
        token: httpTokenOf(settings, log),
      })
      closers.push(() => http.close())

      const warming = Serving.start(model, {
        ...servingOptionsOf(settings, log),
        onRestart: (reason) => {
          streamMetrics.inferenceRestarted(reason)
        },
      })
      // looked at in its turn, and until then no rejection that nobody handles
      warming.catch(() => undefined)
      closers.push(() => closeStarted(warming))
      await requireTopics(client, settings, ['input.topic', 'output.topic', 'deadLetters.topic'])
      const header =
        registry === undefined
          ? undefined
          : await registry.valueHeader(settings['output.topic'], labelScoresSchemaText())
      const output = await connectOutput(client, settings, streamMetrics)
      closers.push(() => output.close())
      const serving = await warming
      describeModel(serving, settings, metrics, log)

      const onRetry = (code: string): void => {
        streamMetrics.retried(code)
      }
      const schemas = writerSchemas(registry)
      const inputOptions = {
        format: settings['input.format'],
        textPointer: settings['input.textPointer'],
        idPointer: settings['input.idPointer'],
        maxTextBytes: settings['input.maxTextBytes'],
        maxMessageBytes: settings['input.maxMessageBytes'],
        maxHeaderBytes: settings['input.maxHeaderBytes'],
      }
      const pipeline = await Pipeline.create(
        {
          topics: { scores: settings['output.topic'], deadLetters: settings['deadLetters.topic'] },
          limits: {
            budgetTokens: settings['batch.budgetTokens'],
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
          maxBytesPerPartition: Math.min(1_048_576, settings['stream.maxInFlightBytes']),
          maxBytes: settings['stream.maxInFlightBytes'],
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
      await pipeline.start(reader)
      return new Stream({ settings, client, serving, pipeline, output, http })
    } catch (error) {
      for (const close of closers.reverse()) await close()
      throw error
    }
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
    try {
      await this.#pipeline.stop({ deadlineMs: this.#settings['stream.drainMs'] })
    } finally {
      await Promise.all([this.#output.close(), this.serving.close(), this.#http.close()])
    }
  }
}

/** Closes what was being started, once it stands; why it did not start was told already, or does not matter any more. */
async function closeStarted(starting: Promise<{ close(): Promise<void> }>): Promise<void> {
  const [started] = await Promise.allSettled([starting])
  if (started.status === 'fulfilled') await started.value.close()
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

function describeModel(serving: Serving, settings: Settings, metrics: Metrics, log: Logger): void {
  const { name, version, digest } = serving.model
  const { provider, precision, providerFallback } = serving.inference.info
  metrics.setGauge('model_info', { name, version, digest, provider, precision }, 1)
  if (providerFallback !== undefined) {
    metrics.counter('provider_fallbacks_total', { wanted: settings['runtime.provider'] }).inc()
    log.warn('execution provider fell back to the CPU', { reason: providerFallback })
  }
  log.info('model is warm', { model: `${name}@${version}`, provider, precision })
}
