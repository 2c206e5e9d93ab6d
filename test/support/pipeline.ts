import { waitUntil } from '../../src/core/clock.ts'
import { LabelstreamError } from '../../src/core/errors.ts'
import type { OutgoingMessage, Position, SourceMessage } from '../../src/formats/message.ts'
import { Pipeline } from '../../src/stream/pipeline.ts'
import type { PipelineOptions, PipelinePorts } from '../../src/stream/pipeline-options.ts'
import type {
  FormatPorts,
  InferencePort,
  ReaderPort,
  Scorer,
  ScoresToEncode,
  WriterPort,
} from '../../src/stream/ports.ts'
import { noMetrics } from './no-metrics.ts'

export const pipelineOptions: PipelineOptions = {
  topics: { scores: 'scores', deadLetters: 'dead-letters' },
  limits: { budgetTokens: 64, maxRows: 8, maxWaitMs: 1 },
  maxInFlightBytes: 1_000_000,
  commitIntervalMs: 5,
}

interface Parts {
  readonly options?: Partial<PipelineOptions>
  readonly formats?: Partial<FormatPorts>
  readonly inference?: InferencePort
  readonly writer?: Partial<WriterPort>
  readonly reader?: Partial<ReaderPort>
  readonly metrics?: Partial<PipelinePorts['metrics']>
  /** Partitions assigned at the start. */
  readonly partitions?: number
}

/** A pipeline whose fetches are made by hand; texts are one token a letter. */
export async function started(parts: Parts = {}) {
  const sent: { topic: string; partition: number; message: OutgoingMessage }[] = []
  const events: ScoresToEncode[] = []
  const commits: Position[] = []
  const calls: string[] = []
  const scorer: Scorer = {
    model: { name: 'advice', version: '3', digest: 'd', precision: 'fp32' },
    labels: ['yes', 'no'],
    maxTokens: 64,
    knownGoodText: 'good',
    tokenizer: {
      tokenize: (texts) =>
        Promise.resolve(
          texts.map((text) => ({
            windows: [Int32Array.from(Buffer.from(text))],
            tokens: text.length,
            truncated: false,
          })),
        ),
    },
    inference: parts.inference ?? { run: (windows) => Promise.resolve(resultOf(windows)) },
    decide: (logits) => ({ scores: logits.slice(), decided: ['yes'] }),
  }
  const pipeline = await Pipeline.create(
    { ...pipelineOptions, ...parts.options },
    {
      scorer,
      metrics: { ...noMetrics, ...parts.metrics },
      random: () => 0,
      writer: {
        partitionCount: () => Promise.resolve(3),
        send: (topic, partition, messages) => {
          for (const message of messages) sent.push({ topic, partition, message })
          return Promise.resolve()
        },
        ...parts.writer,
      },
      formats: {
        decodeInput: (message) => ({ id: 'id', text: message.value?.toString() ?? '' }),
        encodeScores: (event) => {
          events.push(event)
          return Buffer.from(event.eventId)
        },
        deadLetter: (message, stage, error) => ({
          key: message.key,
          value: message.value,
          headers: { stage, code: error.code },
        }),
        ...parts.formats,
      },
    },
  )
  await pipeline.start({
    start: () => undefined,
    pause: () => calls.push('pause'),
    resume: () => calls.push('resume'),
    commit: (_epoch, offsets) => {
      commits.push(...offsets)
      return Promise.resolve('committed' as const)
    },
    rejoin: (epoch) => calls.push(`rejoin ${epoch}`),
    close: () => {
      calls.push('close')
      return Promise.resolve()
    },
    ...parts.reader,
  })
  const { handlers } = pipeline
  const partitions = Array.from({ length: parts.partitions ?? 1 }, (_, partition) => ({
    topic: 'texts',
    partition,
  }))
  handlers.assigned(1, partitions)
  const fetch = (texts: readonly (string | null)[], from = 0, partition = 0, epoch = 1): void => {
    const messages = texts.map((text, index) => messageOf(text, partition, from + index))
    const end = from + texts.length
    handlers.records(epoch, { topic: 'texts', partition, messages, nextOffset: end, highWatermark: end })
  }
  const end = async (offset: number, partition = 0): Promise<void> => {
    await pipeline.untilEnd([{ topic: 'texts', partition, offset }])
    await pipeline.stop({ deadlineMs: 30_000 })
  }
  return { pipeline, handlers, sent, events, commits, calls, fetch, end }
}

export function messageOf(text: string | null, partition: number, offset: number): SourceMessage {
  return {
    topic: 'texts',
    partition,
    offset,
    timestampMs: 77,
    key: Buffer.from('key'),
    value: text === null ? null : Buffer.from(text),
    headers: offset % 2 === 0 ? {} : { traceparent: 'kept' },
  }
}

export function resultOf(windows: readonly Int32Array[]) {
  const longest = Math.max(...windows.map((window) => window.length))
  const values = new Float32Array(windows.length * 2).fill(0.25)
  return { values, width: 2, seconds: 0.001, paddedTokens: windows.length * longest }
}

export const until = (condition: () => boolean): Promise<void> =>
  waitUntil(condition, { timeoutMs: 10_000, everyMs: 2, onTimeout: () => new Error('it never happened') })

export const hasCode = (code: string) => (error: unknown) =>
  error instanceof LabelstreamError && error.code === code
