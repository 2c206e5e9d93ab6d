import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { packageRoot } from '../core/paths.ts'
import type { OutgoingMessage } from '../formats/message.ts'
import { createTopics } from '../kafka/admin.ts'
import { startLocalKafka } from '../kafka/local-broker.ts'
import { Writer } from '../kafka/writer.ts'
import { openModel } from '../models/folder.ts'
import { sortedBatches } from '../runtime/sorted-run.ts'
import type { Settings } from '../settings/catalogue.ts'
import { Serving } from '../stream/serving.ts'
import type { CommandContext, CommandSpec } from './command.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { peakMemoryBytes } from './memory.ts'
import { modelsFolderOf } from './models-folder.ts'
import { numberOption, optionalOption, table } from './output.ts'
import { servingOptionsOf } from './serving-options.ts'
import { Stream } from './stream.ts'

const partitions = 4
const triedBudgetsTokens = [256, 512, 1_024, 2_048, 4_096]
const trialTexts = 1_000

export const benchCommand: CommandSpec = {
  name: 'bench',
  summary: 'measure texts per second: the bare session at its best, then Kafka to Kafka, in turn',
  options: [
    { flags: '--data <file>', help: 'JSONL with "text" (default: the labelled advice texts)' },
    { flags: '--messages <count>', help: 'texts in one round, taken in a circle (default 4000)' },
    { flags: '--rounds <count>', help: 'rounds; medians are printed (default 3)' },
  ],
  settings: ['model', 'models.', 'batch.', 'text.', 'runtime.', 'stream.', 'kafka.brokers'],
  examples: ['labelstream bench --messages 8000 --json'],
  run: async (context, _positional, options) => {
    const texts = benchTexts(
      optionalOption(options, 'data') ?? join(packageRoot, 'examples', 'advice', 'texts.jsonl'),
      numberOption(options, 'messages', { min: 1, max: 10_000_000, integer: true }) ?? 4_000,
    )
    const rounds = numberOption(options, 'rounds', { min: 1, max: 100, integer: true }) ?? 3
    const local =
      context.loaded.origins['kafka.brokers'] === 'default'
        ? await startLocalKafka({
            onProgress: (line) => {
              process.stderr.write(`${line}\n`)
            },
          })
        : undefined
    try {
      const topics = benchTopics()
      const settings: Settings = {
        ...context.settings,
        ...topics,
        ...(local === undefined ? {} : { 'kafka.brokers': local.brokers }),
        'http.port': 0,
      }
      await load(context, settings, texts)
      const measured: Round[] = []
      for (let round = 0; round < rounds; round++) {
        const session = await bareSession(context, settings, texts)
        const stream = await endToEnd(context, { ...settings, group: `${topics['input.topic']}-${round}` })
        measured.push({ session, stream })
      }
      print(context, measured, texts.length)
    } finally {
      await local?.stop()
    }
  },
}

interface SessionFigures {
  readonly textsPerSecond: number
  readonly paddedTokensPerSecond: number
  readonly budgetTokens: number
  readonly provider: string
  readonly precision: string
}

interface StreamFigures {
  readonly textsPerSecond: number
  readonly paddedTokensPerSecond: number
  readonly paddingShare: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly peakMemoryBytes: number
}

interface Round {
  readonly session: SessionFigures
  readonly stream: StreamFigures
}

function benchTopics() {
  const run = Date.now().toString(36)
  return {
    'input.topic': `labelstream-bench-texts-${run}`,
    'output.topic': `labelstream-bench-scores-${run}`,
    'deadLetters.topic': `labelstream-bench-dead-letters-${run}`,
  }
}

function benchTexts(file: string, count: number): string[] {
  let lines: string[]
  try {
    lines = readFileSync(file, 'utf8').trim().split('\n')
  } catch (error) {
    throw new LabelstreamError('FILE_UNREADABLE', `${file} cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const texts = lines.map((line, index) => {
    const { text } = parse(line, file, index + 1)
    if (typeof text === 'string' && text.trim() !== '') return text
    throw new LabelstreamError('DATA_INVALID', `${file} line ${index + 1}: has no string at "text"`)
  })
  return Array.from({ length: count }, (_none, index) => texts[index % texts.length] ?? '')
}

function parse(line: string, file: string, number: number): { text?: unknown } {
  try {
    return JSON.parse(line) as { text?: unknown }
  } catch {
    throw new LabelstreamError('DATA_INVALID', `${file} line ${number}: not valid JSON`)
  }
}

async function load(context: CommandContext, settings: Settings, texts: readonly string[]): Promise<void> {
  const client = kafkaClientOf(settings, context.log)
  const topics = [settings['input.topic'], settings['output.topic'], settings['deadLetters.topic']]
  await createTopics(
    client,
    topics.map((topic) => ({ topic, partitions })),
  )
  const writer = await Writer.connect(client)
  try {
    for (let start = 0; start < texts.length; start += 1_000) {
      const chunk = texts.slice(start, start + 1_000)
      for (let partition = 0; partition < partitions; partition++) {
        const messages = chunk.flatMap((text, index): OutgoingMessage[] =>
          index % partitions === partition
            ? [
                {
                  key: null,
                  value: Buffer.from(JSON.stringify({ id: String(start + index), text })),
                  headers: {},
                },
              ]
            : [],
        )
        await writer.send(settings['input.topic'], partition, messages)
      }
    }
  } finally {
    await writer.close()
  }
}

/**
 * All texts through one session in one process and nothing else: tokenised before the clock starts, sorted by exact
 * length, in batches of the budget that was fastest on a sample.
 */
async function bareSession(
  context: CommandContext,
  settings: Settings,
  texts: readonly string[],
): Promise<SessionFigures> {
  const model = await openModel(settings.model, modelsFolderOf(settings))
  const serving = await Serving.start(model, servingOptionsOf(settings, context.log))
  try {
    const tokenized = await serving.scorer.tokenizer.tokenize(texts)
    const windows = tokenized.flatMap((text) => text.windows)
    const sample = everyNth(windows, Math.max(1, Math.floor(windows.length / trialTexts)))
    const measure = async (items: readonly Int32Array[], budgetTokens: number) => {
      const batches = sortedBatches(
        items.map(({ length }) => length),
        budgetTokens,
      )
      return serving.inference.measure(
        batches.map((batch) => batch.map((index) => items[index] ?? new Int32Array())),
      )
    }
    let best = { budgetTokens: 0, seconds: Infinity }
    for (const budgetTokens of triedBudgetsTokens) {
      const { seconds } = await measure(sample, budgetTokens)
      if (seconds < best.seconds) best = { budgetTokens, seconds }
    }
    const { seconds, paddedTokens } = await measure(windows, best.budgetTokens)
    const { provider, precision } = serving.inference.info
    return {
      textsPerSecond: texts.length / seconds,
      paddedTokensPerSecond: paddedTokens / seconds,
      budgetTokens: best.budgetTokens,
      provider,
      precision,
    }
  } finally {
    await serving.close()
  }
}

/** The same texts from topic to topic, by the job that `run` starts. */
async function endToEnd(context: CommandContext, settings: Settings): Promise<StreamFigures> {
  const latenciesMs: number[] = []
  const stream = await Stream.start(settings, context.log, (seconds) => latenciesMs.push(seconds * 1000))
  try {
    await stream.untilEnd()
    const { scored, paddedTokens, realTokens, firstFetchMs = 0, lastAckMs = 0 } = stream.totals
    const seconds = (lastAckMs - firstFetchMs) / 1000
    latenciesMs.sort((a, b) => a - b)
    return {
      textsPerSecond: scored / seconds,
      paddedTokensPerSecond: paddedTokens / seconds,
      paddingShare: 1 - realTokens / paddedTokens,
      p50Ms: percentile(latenciesMs, 0.5),
      p99Ms: percentile(latenciesMs, 0.99),
      peakMemoryBytes: peakMemoryBytes(stream.serving.inference),
    }
  } finally {
    await stream.stop()
  }
}

function print(context: CommandContext, rounds: readonly Round[], texts: number): void {
  const median = (figure: (round: Round) => number): number =>
    percentile(
      rounds.map(figure).sort((a, b) => a - b),
      0.5,
    )
  const first = rounds[0]?.session
  const report = {
    texts,
    rounds: rounds.length,
    session: {
      textsPerSecond: median(({ session }) => session.textsPerSecond),
      paddedTokensPerSecond: median(({ session }) => session.paddedTokensPerSecond),
      budgetTokens: median(({ session }) => session.budgetTokens),
    },
    endToEnd: {
      textsPerSecond: median(({ stream }) => stream.textsPerSecond),
      paddedTokensPerSecond: median(({ stream }) => stream.paddedTokensPerSecond),
      p50Ms: median(({ stream }) => stream.p50Ms),
      p99Ms: median(({ stream }) => stream.p99Ms),
      peakMemoryBytes: Math.max(...rounds.map(({ stream }) => stream.peakMemoryBytes)),
    },
    ratio: median(({ session, stream }) => stream.textsPerSecond / session.textsPerSecond),
    paddingShare: median(({ stream }) => stream.paddingShare),
    precision: first?.precision,
    provider: first?.provider,
  }
  context.printJson(report)
  context.print(
    table(
      ['', 'texts/s', 'padded tokens/s'],
      [
        [
          'bare session',
          report.session.textsPerSecond.toFixed(0),
          report.session.paddedTokensPerSecond.toFixed(0),
        ],
        [
          'Kafka to Kafka',
          report.endToEnd.textsPerSecond.toFixed(0),
          report.endToEnd.paddedTokensPerSecond.toFixed(0),
        ],
      ],
    ),
  )
  context.print(
    [
      `ratio ${report.ratio.toFixed(2)} (median of ${rounds.length} rounds of ${texts} texts, ${report.precision ?? ''} on ${report.provider ?? ''})`,
      `padding ${(100 * report.paddingShare).toFixed(1)} % of the padded tokens`,
      `peak memory ${(report.endToEnd.peakMemoryBytes / 1_048_576).toFixed(0)} MiB in all processes`,
      `from fetch to acknowledgement, with a full backlog: p50 ${report.endToEnd.p50Ms.toFixed(0)} ms, p99 ${report.endToEnd.p99Ms.toFixed(0)} ms`,
    ].join('\n'),
  )
}

const everyNth = <T>(items: readonly T[], step: number): T[] =>
  items.filter((_item, index) => index % step === 0)

/** Nearest-rank percentile of sorted values; 0 for none. */
const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
