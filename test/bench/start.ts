/**
 * How long programs take until they can begin, in turn, round after round:
 *
 *   node build/test/bench/start.js [--rounds 5] [--precision int8] [--model advice] [--python PATH] [--json]
 *
 * Of ours the shortest command, `score` with one text, and `run` from its start to its first assigned partitions, each
 * time with a group of its own at the broker that KAFKA_BROKERS names, else at a local one on the same cores. With the
 * Python PATH also what a consumer there imports: transformers and PyTorch, or ONNX Runtime, tokenizers and a client.
 * Processor time is that of the whole program, for `run` with its orderly end. A first round is not counted: in it
 * files come into memory, and the built graph into its cache.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { table } from '../../src/commands/output.ts'
import { median } from '../../src/commands/percentile.ts'
import { wallClockMs } from '../../src/core/clock.ts'
import { Member, logPath } from '../fault/member.ts'
import { type BenchBroker, benchBroker, makeTopics } from './broker.ts'
import { runProgram, say, wholeNumber } from './program.ts'
import { type ProgramCost, programCost } from './program-cost.ts'
import { type Contender, type Results, inTurn, spreadOf } from './rounds.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    precision: { type: 'string', default: 'int8' },
    model: { type: 'string', default: 'advice' },
    python: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const rounds = wholeNumber('rounds', values.rounds)
const cliFile = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
const partitions = 4
const endTimeoutMs = 60_000
const imports = [
  'import transformers, torch',
  'import onnxruntime, tokenizers, confluent_kafka, fastavro, numpy',
]

const folder = await mkdtemp(join(tmpdir(), 'labelstream-start-'))
const broker = await benchBroker()
try {
  const { python } = values
  const contenders = [
    ours('--version'),
    ours('score --json hello', '--model', values.model, '--runtime-precision', values.precision),
    firstPartitions(broker),
    ...(python === undefined
      ? []
      : imports.map((lines) => program(`python -c "${lines}"`, python, '-c', lines))),
  ]
  await inTurn(contenders, 1)
  const results = await inTurn(contenders, rounds, (name, round, { seconds }) => {
    say(`round ${round}, ${name}: ${seconds.toFixed(2)} s`)
  })
  const rows = rowsOf(results)
  process.stdout.write(values.json ? `${JSON.stringify({ rounds, rows })}\n` : `${textOf(rows)}\n`)
} finally {
  await broker.stop()
  await rm(folder, { recursive: true, force: true })
}

function program(name: string, command: string, ...args: readonly string[]): Contender<ProgramCost> {
  return { name, run: () => programCost(() => runProgram(command, args)) }
}

function ours(words: string, ...settings: readonly string[]): Contender<ProgramCost> {
  return program(`labelstream ${words}`, process.execPath, cliFile, ...words.split(' '), ...settings)
}

function firstPartitions(on: BenchBroker): Contender<ProgramCost> {
  return {
    name: 'labelstream run, to its first partitions',
    run: async () => {
      const { input, scores, deadLetters, group } = await makeTopics(on.client, partitions)
      let seconds = NaN
      const { processorSeconds } = await programCost(async () => {
        const startedMs = wallClockMs()
        const member = new Member({
          cliFile,
          logFile: logPath(folder, group),
          settings: {
            model: values.model,
            'runtime.precision': values.precision,
            'kafka.brokers': on.brokers.join(','),
            'input.topic': input,
            'output.topic': scores,
            'deadLetters.topic': deadLetters,
            group,
            'http.port': 0,
            'log.format': 'json',
          },
        })
        try {
          await member.assigned()
          seconds = (assignedAtMs(member) - startedMs) / 1_000
          member.signal('SIGTERM')
          await member.ended(endTimeoutMs)
        } finally {
          if (member.running) await member.kill()
        }
      })
      return { seconds, processorSeconds }
    },
  }
}

/** By its own clock: when it said so, and not when we looked. */
function assignedAtMs({ logged, log }: Member): number {
  const line = logged.find(({ msg }) => msg === 'partitions assigned')
  if (line === undefined) throw new Error(`it ended without partitions:\n${log}`)
  return Date.parse(String(line['time']))
}

function rowsOf(results: Results<ProgramCost>) {
  return [...results].map(([name, runs]) => ({
    name,
    seconds: spreadOf(runs.map(({ seconds }) => seconds)),
    processorSeconds: median(runs.map(({ processorSeconds }) => processorSeconds)),
  }))
}

function textOf(rows: ReturnType<typeof rowsOf>): string {
  const header = ['', 'seconds', 'least', 'most', 'processor seconds']
  const body = rows.map(({ name, seconds: { median: middle, min, max }, processorSeconds }) => [
    name,
    ...[middle, min, max, processorSeconds].map((value) => value.toFixed(2)),
  ])
  return [
    table(header, body),
    `medians of ${rounds} rounds in turn, ${availableParallelism()} cores, ${values.precision}, model ${values.model}`,
  ].join('\n')
}
