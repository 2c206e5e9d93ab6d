/**
 * Processor time that the stream itself takes for a text, with everything but Kafka and the encoder: decoding,
 * batching, deciding, Avro, metrics, and with `--tokenize` the tokenizer; with `--cache` most texts are known.
 * `node build/test/bench/pipeline-cost.js [LABELS] [--tokenize] [--cache]`
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/core/paths.ts'
import { writerSchemas } from '../../src/formats/avro-value.ts'
import { deadLetter } from '../../src/formats/dead-letter.ts'
import { decodeInput } from '../../src/formats/input.ts'
import { labelScoresEncoder } from '../../src/formats/scores.ts'
import { decide, plainDecision } from '../../src/models/decision.ts'
import { Pipeline } from '../../src/stream/pipeline.ts'
import type { TokenizerPort } from '../../src/stream/ports.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { StreamMetrics } from '../../src/telemetry/stream-metrics.ts'
import { TokenizerPool } from '../../src/text/tokenizer-pool.ts'
import { sourceMessage } from '../support/source-message.ts'

const labelCount = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 28)
const partitions = [0, 1, 2, 3]
const perPartition = 5_000
const fetchMessages = 500

const labels = Array.from({ length: labelCount }, (_, index) => `label_${index}`)
const decision = plainDecision(labels)
const texts = readFileSync(join(packageRoot, 'examples', 'advice', 'texts.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => (JSON.parse(line) as { text: string }).text)

const pool = process.argv.includes('--tokenize')
  ? await TokenizerPool.start({
      folder: join(packageRoot, 'models', 'minilm-l6', '1'),
      threads: 1,
      maxTokens: 128,
      maxWindows: 4,
      strideTokens: 32,
    })
  : undefined
const tokenizer: TokenizerPort = pool ?? {
  tokenize: (batch) =>
    Promise.resolve(
      batch.map(({ length }) => ({
        windows: [new Int32Array(8 + (length % 40))],
        tokens: 20,
        truncated: false,
      })),
    ),
}
const schemas = writerSchemas(undefined)
const pipeline = await Pipeline.create(
  {
    topics: { scores: 'scores', deadLetters: 'dead-letters' },
    limits: { budgetTokens: 1_024, maxRows: 256, maxWaitMs: 20 },
    maxInFlightBytes: 64_000_000,
    commitIntervalMs: 1_000,
    cacheEntries: process.argv.includes('--cache') ? 10_000 : 0,
  },
  {
    writer: { partitionCount: () => Promise.resolve(4), send: () => Promise.resolve() },
    scorer: {
      model: { name: 'none', version: '1', digest: 'd', precision: 'fp32' },
      labels,
      maxTokens: 128,
      knownGoodText: 'good',
      tokenizer,
      inference: {
        run: (windows) => {
          const longest = windows.reduce((most, { length }) => Math.max(most, length), 0)
          const values = new Float32Array(windows.length * labelCount).fill(-1)
          return Promise.resolve({
            values,
            width: labelCount,
            seconds: 0.001,
            paddedTokens: longest * windows.length,
          })
        },
      },
      decide: (logits) => decide(decision, logits),
    },
    metrics: new StreamMetrics(new Metrics()),
    formats: {
      decodeInput: (message) =>
        decodeInput(
          message,
          {
            format: 'auto',
            textPointer: '/text',
            idPointer: '/id',
            maxTextBytes: 100_000,
            maxMessageBytes: 1_000_000,
            maxHeaderBytes: 65_536,
          },
          schemas,
        ),
      encodeScores: labelScoresEncoder(undefined),
      deadLetter,
    },
  },
)
await pipeline.start({
  start: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
  commit: () => Promise.resolve('committed'),
  rejoin: () => undefined,
  close: () => Promise.resolve(),
})
pipeline.handlers.assigned(
  1,
  partitions.map((partition) => ({ topic: 'texts', partition })),
)
const messages = partitions.map((partition) =>
  Array.from({ length: perPartition }, (_, offset) => {
    const text = texts[(offset * partitions.length + partition) % texts.length] ?? ''
    return sourceMessage({ id: String(offset), text }, { partition, offset })
  }),
)
const before = process.cpuUsage()
for (const partition of partitions) {
  for (let from = 0; from < perPartition; from += fetchMessages) {
    pipeline.handlers.records(1, {
      topic: 'texts',
      partition,
      messages: messages[partition]?.slice(from, from + fetchMessages) ?? [],
      nextOffset: from + fetchMessages,
      highWatermark: perPartition,
    })
  }
}
await pipeline.untilEnd(partitions.map((partition) => ({ topic: 'texts', partition, offset: perPartition })))
const { user, system } = process.cpuUsage(before)
await pipeline.stop({ deadlineMs: 1_000 })
await pool?.close()
const each = (user + system) / (partitions.length * perPartition)
process.stdout.write(`${each.toFixed(1)} µs of processor time a text, ${labelCount} labels\n`)
