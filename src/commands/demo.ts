import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../core/paths.ts'
import { writerSchemas } from '../formats/avro-value.ts'
import type { OutgoingMessage } from '../formats/message.ts'
import { decodeLabelScores, type LabelScores } from '../formats/scores.ts'
import { createTopics, endOffsets } from '../kafka/admin.ts'
import type { KafkaClient } from '../kafka/connect.ts'
import { type LocalKafka, startLocalKafka } from '../kafka/local-broker.ts'
import { readRange } from '../kafka/read-range.ts'
import { Writer } from '../kafka/writer.ts'
import type { Settings } from '../settings/catalogue.ts'
import { createLogger } from '../telemetry/log.ts'
import type { CommandContext, CommandSpec } from './command.ts'
import { kafkaClientOf } from './kafka-client.ts'
import { scoreTable, table } from './output.ts'
import { aborted } from './run.ts'
import type { ScoreResult } from './score.ts'
import { Stream } from './stream.ts'

const partitions = 2
const demoTopics = {
  'input.topic': 'labelstream-demo-texts',
  'output.topic': 'labelstream-demo-scores',
  'deadLetters.topic': 'labelstream-demo-dead-letters',
} as const

interface DemoText {
  readonly id: string
  readonly text: string
}

export const demoCommand: CommandSpec = {
  name: 'demo',
  summary: 'the whole way in one command: a real Kafka, texts in, scores out, metrics beside it',
  options: [{ flags: '--keep', help: 'keep everything running until Ctrl-C' }],
  settings: ['kafka.brokers', 'model', 'models.', 'runtime.', 'http.'],
  examples: [
    'labelstream demo',
    'KAFKA_BROKERS=kafka:9092 labelstream demo   (your own broker instead of a local one)',
  ],
  run: async (context, _positional, options) => {
    const { origins, settings } = context.loaded
    const own = origins['kafka.brokers'] !== 'default'
    // the table is what matters here: only warnings beside it, unless more was asked for
    const log =
      origins['log.level'] === 'default'
        ? createLogger({ level: 'warn', format: settings['log.format'] })
        : context.log
    const say = (line: string): void => {
      process.stderr.write(`${line}\n`)
    }
    const local = own ? undefined : await startLocalKafka({ onProgress: say })
    try {
      await demonstrate({ ...context, log }, { local, keep: options.keep === true, say })
    } finally {
      await local?.stop()
    }
  },
}

async function demonstrate(
  context: CommandContext,
  { local, keep, say }: { local: LocalKafka | undefined; keep: boolean; say: (line: string) => void },
): Promise<void> {
  const settings = demoSettings(context, local)
  const client = kafkaClientOf(settings, context.log)
  const topics = Object.values(demoTopics)
  await createTopics(
    client,
    topics.map((topic) => ({ topic, partitions })),
  )
  const texts = readDemoTexts()
  const before = await endOffsets(client, settings['output.topic'])
  await produce(client, settings['input.topic'], texts)
  say(`produced ${texts.length} texts to ${settings['input.topic']}; loading the model`)

  const stream = await Stream.start(settings, context.log)
  try {
    await stream.untilEnd()
    const results = await readScores(client, settings['output.topic'], before, texts)
    const { consumed, deadLettered } = stream.totals
    const brokers = settings['kafka.brokers'].join(',')
    const { metricsUrl } = stream
    context.printJson({ brokers, produced: texts.length, consumed, deadLettered, metricsUrl, results })
    context.print(demoPage(results))
    context.print(`\nproduced ${texts.length}, consumed ${consumed}, dead letters ${deadLettered}`)
    context.print(`metrics: ${metricsUrl} (${await scoredSeries(metricsUrl)})`)
    if (keep) {
      context.print(`the stream in a browser: ${new URL('/', metricsUrl).href}`)
      context.print(
        `brokers: ${brokers}; produce to ${topics[0] ?? ''}, read ${topics[1] ?? ''}; Ctrl-C ends it`,
      )
      await Promise.race([aborted(context.interrupted), stream.finished])
    } else context.print('to keep it running: npm run demo -- --keep')
  } finally {
    await stream.stop()
  }
}

/** The demo's own topics and group, a free port, and quiet logs, unless the user said otherwise. */
function demoSettings(context: CommandContext, local: LocalKafka | undefined): Settings {
  const { settings, loaded } = context
  return {
    ...settings,
    ...demoTopics,
    group: 'labelstream-demo',
    ...(local === undefined ? {} : { 'kafka.brokers': local.brokers }),
    ...(loaded.origins['http.port'] === 'default' ? { 'http.port': 0 } : {}),
  }
}

function readDemoTexts(): DemoText[] {
  const lines = readFileSync(join(packageRoot, 'examples', 'texts.jsonl'), 'utf8')
    .trim()
    .split('\n')
  return lines.map((line) => JSON.parse(line) as DemoText)
}

async function produce(client: KafkaClient, topic: string, texts: readonly DemoText[]): Promise<void> {
  const writer = await Writer.connect(client)
  try {
    for (let partition = 0; partition < partitions; partition++) {
      const messages = texts
        .filter((_text, index) => index % partitions === partition)
        .map(({ id, text }): OutgoingMessage => ({
          key: Buffer.from(id),
          value: Buffer.from(JSON.stringify({ id, text })),
          headers: {},
        }))
      await writer.send(topic, partition, messages)
    }
  } finally {
    await writer.close()
  }
}

/** The scores of these texts, in their order, read back from the topic and decoded as any consumer would. */
async function readScores(
  client: KafkaClient,
  topic: string,
  from: ReadonlyMap<number, number>,
  texts: readonly DemoText[],
): Promise<ScoreResult[]> {
  const schemas = writerSchemas()
  const events = new Map<string, LabelScores>()
  for await (const message of readRange(client, topic, { from })) {
    if (message.value === null) continue
    const event = await decodeLabelScores(message.value, schemas)
    events.set(event.id, event)
  }
  return texts.flatMap(({ id, text }) => {
    const event = events.get(id)
    return event === undefined ? [] : [{ text, scores: event.scores, labels: event.labels }]
  })
}

/** The table of the first text, and one line for each of the others. */
function demoPage(results: readonly ScoreResult[]): string {
  const [first, ...rest] = results
  if (first === undefined) return 'no scores came back'
  const rows = rest.map(({ text, scores, labels }) => [
    text.length > 58 ? `${text.slice(0, 57)}…` : text,
    labels.map((label) => `${label} ${(scores[label] ?? NaN).toFixed(2)}`).join(', '),
  ])
  return [`\n${first.text}\n`, scoreTable(first.scores), '', table(['Text', 'Labels'], rows)].join('\n')
}

async function scoredSeries(metricsUrl: string): Promise<string> {
  const response = await fetch(metricsUrl)
  if (!response.ok) return 'they ask for the token of http.tokenFile'
  const page = await response.text()
  return page.split('\n').find((line) => line.startsWith('labelstream_scored_total{')) ?? 'nothing scored'
}
