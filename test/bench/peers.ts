/**
 * Ours beside other consumers of the same topic, in turn, round after round:
 *
 *   node build/test/bench/peers.js --data messages.jsonl --messages 8000 --model FOLDER \
 *     --ours 'int8=--runtime-precision int8' \
 *     --peer 'onnxruntime=python peer_ort.py --brokers {brokers} --topic {topic} --group {group} --out {out}
 *             --model EXPORTED --messages {messages} --threads {threads} --max-length {tokens} --int8 1 --bucket 1'
 *
 * `--ours NAME=OPTIONS` is `run --until-end` with these options, `--peer NAME=COMMAND` any program that reads
 * {messages} messages {"id","text"} of {topic} as a new {group}, writes one score a message to {out}, and prints on its last
 * line JSON with "seconds" (first poll that brought messages to last delivery report) and, if it can, "peak_rss_mb".
 * Both may be repeated. A peer runs with busy and with passive waiting of its threads (OMP_WAIT_POLICY), and its better
 * median counts. It is an error when a program leaves other than {messages} committed messages in its output.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { table } from '../../src/commands/output.ts'
import type { OutgoingMessage } from '../../src/formats/message.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { collect } from '../support/collect.ts'
import { type BenchBroker, benchBroker, loadTopic, makeTopics } from './broker.ts'
import { printedJson, say, wholeNumber } from './program.ts'
import { type Contender, type Spread, inTurn, spreadOf } from './rounds.ts'
import { shippedTexts } from './shipped.ts'

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: shippedTexts },
    messages: { type: 'string', default: '4000' },
    rounds: { type: 'string', default: '3' },
    model: { type: 'string', default: 'advice' },
    threads: { type: 'string', default: String(availableParallelism()) },
    'max-tokens': { type: 'string', default: '128' },
    ours: { type: 'string', multiple: true, default: ['fp32=--runtime-precision fp32'] },
    peer: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
  },
})
const messages = wholeNumber('messages', values.messages)
const rounds = wholeNumber('rounds', values.rounds)
const partitions = 4
const cliFile = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

interface Run {
  readonly seconds: number
  readonly peakMemoryBytes: number | undefined
}

const broker = await benchBroker()
try {
  const { input } = await makeTopics(broker.client, partitions)
  await loadTopic(broker.client, { topic: input, partitions }, messagesOf(values.data, messages))
  const results = await inTurn(
    [
      ...values.ours.map((given) => ours(broker, input, ...named('ours', given))),
      ...values.peer.flatMap((given) => peers(broker, input, ...named('peer', given))),
    ],
    rounds,
    (name, round, { seconds }) => {
      say(`round ${round}, ${name}: ${(messages / seconds).toFixed(0)} texts/s`)
    },
  )
  const rows = rowsOf(results)
  const settings = {
    messages,
    rounds,
    threads: Number(values.threads),
    maxTokens: Number(values['max-tokens']),
  }
  process.stdout.write(values.json ? `${JSON.stringify({ ...settings, rows })}\n` : `${textOf(rows)}\n`)
} finally {
  await broker.stop()
}

/** Lines of a JSONL file in a circle, each with an id of its own as its key. */
function messagesOf(file: string, count: number): OutgoingMessage[] {
  const texts = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { text: string }).text)
  return Array.from({ length: count }, (_none, index) => {
    const id = String(index)
    const value = JSON.stringify({ id, text: texts[index % texts.length] })
    return { key: Buffer.from(id), value: Buffer.from(value), headers: {} }
  })
}

function ours(on: BenchBroker, input: string, name: string, options: string): Contender<Run> {
  return {
    name: `labelstream ${name}`,
    run: async () => {
      const topics = await makeTopics(on.client, partitions)
      const fixed = {
        'input-topic': input,
        'output-topic': topics.scores,
        'dead-letters-topic': topics.deadLetters,
        group: topics.group,
        model: values.model,
        'kafka-brokers': on.brokers.join(','),
        'runtime-processes': values.threads,
        'runtime-threads': '1',
        'text-max-tokens': values['max-tokens'],
        // peers cut long texts; here too only the first window counts
        'text-max-windows': '1',
        // peers score repeated texts again
        'stream-cache-entries': '0',
        'http-port': '0',
      }
      const args = Object.entries(fixed).flatMap(([flag, value]) => [`--${flag}`, value])
      const words = options.split(' ').filter((word) => word !== '')
      const printed = await printedJson(process.execPath, [
        cliFile,
        'run',
        '--until-end',
        '--json',
        ...args,
        ...words,
      ])
      await checkWritten(on, topics.scores, name)
      return printed as Run
    },
  }
}

function peers(on: BenchBroker, input: string, name: string, command: string): Contender<Run>[] {
  return (['active', 'passive'] as const).map((policy) => ({
    name: `${name}, ${policy} waiting`,
    run: async () => {
      const topics = await makeTopics(on.client, partitions)
      const places: Readonly<Record<string, string>> = {
        brokers: on.brokers.join(','),
        topic: input,
        group: topics.group,
        out: topics.scores,
        messages: String(messages),
        threads: values.threads,
        tokens: values['max-tokens'],
      }
      const line = command.replaceAll(/\{(\w+)\}/g, (whole, place: string) => places[place] ?? whole)
      const env = policy === 'passive' ? { OMP_WAIT_POLICY: 'passive' } : {}
      const printed = (await printedJson(line, [], { shell: true, env })) as {
        seconds: number
        peak_rss_mb?: number
      }
      await checkWritten(on, topics.scores, name)
      const { seconds, peak_rss_mb: megabytes } = printed
      return { seconds, peakMemoryBytes: megabytes === undefined ? undefined : megabytes * 1_048_576 }
    },
  }))
}

/** Throws unless every message has its score. Offsets would count the markers of transactions too. */
async function checkWritten({ client }: BenchBroker, topic: string, name: string): Promise<void> {
  const { length: written } = await collect(readRange(client, topic))
  if (written !== messages) throw new Error(`${name} wrote ${written} scores for ${messages} messages`)
}

/** NAME=REST. */
function named(option: string, given: string): [name: string, rest: string] {
  const place = given.indexOf('=')
  if (place <= 0)
    throw new RangeError(`--${option}: ${given} is not NAME=${option === 'peer' ? 'COMMAND' : 'OPTIONS'}`)
  return [given.slice(0, place), given.slice(place + 1)]
}

interface Row {
  readonly name: string
  readonly textsPerSecond: Spread
  readonly peakMemoryBytes: number | undefined
  /** The better way of waiting, where a program ran with both. */
  readonly counts: boolean
  /** Texts a second of each of ours by those of this one. */
  readonly ratios: Readonly<Record<string, number>>
}

function rowsOf(results: ReadonlyMap<string, readonly Run[]>): Row[] {
  const measured = [...results].map(([name, runs]) => ({
    name,
    textsPerSecond: spreadOf(runs.map(({ seconds }) => messages / seconds)),
    peakMemoryBytes: Math.max(...runs.map(({ peakMemoryBytes }) => peakMemoryBytes ?? NaN)),
  }))
  const mine = measured.slice(0, values.ours.length)
  return measured.map((row) => {
    const program = row.name.replace(/, \w+ waiting$/, '')
    const others = measured.filter(({ name }) => name.startsWith(`${program}, `))
    return {
      ...row,
      peakMemoryBytes: Number.isNaN(row.peakMemoryBytes) ? undefined : row.peakMemoryBytes,
      counts: others.every(({ textsPerSecond }) => textsPerSecond.median <= row.textsPerSecond.median),
      ratios: Object.fromEntries(
        mine.map(({ name, textsPerSecond }) => [name, textsPerSecond.median / row.textsPerSecond.median]),
      ),
    }
  })
}

function textOf(rows: readonly Row[]): string {
  const [first] = rows
  const names = Object.keys(first?.ratios ?? {})
  const header = ['', 'texts/s', 'least', 'most', 'peak MiB', ...names.map((name) => `${name} / this`)]
  const body = rows
    .filter(({ counts }) => counts)
    .map(({ name, textsPerSecond, peakMemoryBytes, ratios }) => [
      name,
      Math.round(textsPerSecond.median),
      Math.round(textsPerSecond.min),
      Math.round(textsPerSecond.max),
      peakMemoryBytes === undefined ? '' : Math.round(peakMemoryBytes / 1_048_576),
      ...names.map((one) => (ratios[one] ?? NaN).toFixed(2)),
    ])
  return [
    table(header, body),
    `medians of ${rounds} rounds of ${messages} messages, texts of at most ${values['max-tokens']} tokens, ${values.threads} threads; every program has written a score for each message`,
  ].join('\n')
}
