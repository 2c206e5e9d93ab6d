/**
 * Texts a second, Kafka to Kafka, against cores, length of texts, labels, partitions and members of the group:
 * `node build/test/bench/growth.js [--precision int8] [--axes cores,tokens,...] [--data FILE.jsonl] [--json]`.
 * Every cell is a group of `run` processes on topics of its own, with a random head on the shipped encoder (how fast it
 * scores does not depend on the numbers); cells run in turn, round after round. The broker is on the same cores unless
 * KAFKA_BROKERS names another one. `--json` is what scale-page.ts makes docs/scale.md from.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchTexts } from '../../src/commands/bench-texts.ts'
import { table } from '../../src/commands/output.ts'
import { type BenchBroker, benchBroker } from './broker.ts'
import { coresOf, type GrowthCell, growthAxes, growthCells, textsOfLength } from './growth-cells.ts'
import { type GrowthReport, type GrowthRow, rowOf } from './growth-report.ts'
import { say, wholeNumber } from './program.ts'
import { writeRandomHead } from './random-head.ts'
import { inTurn } from './rounds.ts'
import { shippedTexts } from './shipped.ts'
import { type CellFigures, measureCell } from './stream-cell.ts'

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: shippedTexts },
    precision: { type: 'string', default: 'int8' },
    axes: { type: 'string', default: growthAxes.join(',') },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
})
const axes = values.axes.split(',').map((name) => {
  const axis = growthAxes.find((one) => one === name)
  if (axis === undefined) throw new RangeError(`--axes: ${name} is none of ${growthAxes.join(', ')}`)
  return axis
})
const rounds = wholeNumber('rounds', values.rounds)
const cellSeconds = wholeNumber('seconds', values.seconds)
const cores = availableParallelism()

/** Enough for a first idea of the rate. */
const trialTexts = 600
const fewestTexts = 60

const folder = await mkdtemp(join(tmpdir(), 'labelstream-growth-'))
const broker = await benchBroker()
try {
  const report = await measure(broker)
  process.stdout.write(values.json ? `${JSON.stringify(report, undefined, 2)}\n` : `${textOf(report)}\n`)
} finally {
  await broker.stop()
  await rm(folder, { recursive: true, force: true })
}

async function measure(on: BenchBroker): Promise<GrowthReport> {
  const cells = growthCells(axes, cores)
  const models = new Map<number, string>()
  for (const { labels } of cells) {
    if (!models.has(labels)) models.set(labels, await writeRandomHead(join(folder, 'models'), labels))
  }
  const cellFigures = (cell: GrowthCell, texts: readonly string[]): Promise<CellFigures> =>
    measureCell(on, {
      ...cell,
      model: models.get(cell.labels) ?? '',
      precision: values.precision,
      texts,
      folder,
    })
  const [first] = cells
  if (first === undefined) throw new Error('there are no cells')
  const usual = { ...first, members: 1, processes: cores, threads: 1, tokens: undefined }
  const trial = await cellFigures(usual, benchTexts(values.data, trialTexts))
  say(`trial: ${trial.textsPerSecond.toFixed(0)} texts/s, ${trial.tokensPerSecond.toFixed(0)} tokens/s`)

  const startedMs = performance.now()
  const results = await inTurn(
    cells.map((cell) => {
      const count = textCount(cell, trial)
      const texts =
        cell.tokens === undefined
          ? benchTexts(values.data, count)
          : textsOfLength(models.get(cell.labels) ?? '', cell.tokens, count)
      return { name: nameOf(cell), run: () => cellFigures(cell, texts) }
    }),
    rounds,
    (name, round, { textsPerSecond }) => {
      say(`round ${round}, ${name}: ${textsPerSecond.toFixed(0)} texts/s`)
    },
  )
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores,
    node: process.version,
    precision: values.precision,
    rounds,
    cellSeconds,
    minutes: (performance.now() - startedMs) / 60_000,
    rows: cells.map((cell): GrowthRow => rowOf(cell, results.get(nameOf(cell)) ?? [])),
  }
}

/** As many texts as take about `--seconds`, going by the tokens of the trial. */
function textCount(cell: GrowthCell, trial: CellFigures): number {
  const { tokens } = cell
  const tokensPerText = tokens ?? trial.tokensPerSecond / trial.textsPerSecond
  const share = Math.min(1, coresOf(cell) / cores)
  return Math.max(fewestTexts, Math.ceil((cellSeconds * share * trial.tokensPerSecond) / tokensPerText))
}

function nameOf({ axis, value }: GrowthCell): string {
  return `${axis} ${value}`
}

function textOf({ rows, ...report }: GrowthReport): string {
  const header = ['axis', 'value', 'texts/s', 'least', 'most', 'tokens/s', 'padding', 'peak MiB', 'bytes out']
  const body = rows.map(({ axis, value, textsPerSecond, ...row }) => [
    axis,
    value,
    Math.round(textsPerSecond.median),
    Math.round(textsPerSecond.min),
    Math.round(textsPerSecond.max),
    Math.round(row.tokensPerSecond),
    `${(100 * row.paddingShare).toFixed(1)} %`,
    Math.round(row.peakMemoryBytes / 1_048_576),
    Math.round(row.outputBytes),
  ])
  return [
    table(header, body),
    `${report.precision} on ${report.cores} cores (${report.processor}), medians of ${report.rounds} rounds, ${report.minutes.toFixed(1)} min`,
  ].join('\n')
}
