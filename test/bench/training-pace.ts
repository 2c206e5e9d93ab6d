/**
 * Real tokens a second of fine-tuning, optimiser included and tokenising left out, beside a PyTorch loop that takes the
 * same batches: `node build/test/bench/training-pace.js --python PATH [--data FILE.jsonl] [--json]`, where PATH is a
 * Python with test/bench/requirements.txt; `--provider cuda` takes the card on both sides. All run in turn, round after
 * round. PyTorch runs in fp32 and in bf16, each with busy and with passive waiting of its threads; the better one counts.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { table } from '../../src/commands/output.ts'
import { median } from '../../src/commands/percentile.ts'
import { packageRoot } from '../../src/core/paths.ts'
import { type PaceJob, type PaceResult, paceJob } from './pace-job.ts'
import { printedJson, say, wholeNumber } from './program.ts'
import { type Contender, inTurn, spreadOf } from './rounds.ts'
import { shippedTexts } from './shipped.ts'

const { values } = parseArgs({
  options: {
    python: { type: 'string' },
    data: { type: 'string', default: shippedTexts },
    'max-tokens': { type: 'string', default: '64' },
    steps: { type: 'string', default: '50' },
    warmup: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: String(availableParallelism()) },
    provider: { type: 'string', default: 'cpu' },
    json: { type: 'boolean', default: false },
  },
})
const { python } = values
if (python === undefined)
  throw new Error('--python PATH is missing: a Python with test/bench/requirements.txt')

/** Losses before the first step are equal up to rounding, or the two do not do the same work. */
const tolerance = { fp32: 1e-3, bf16: 0.03 } as const

const folder = await mkdtemp(join(tmpdir(), 'labelstream-pace-'))
try {
  const jobFile = join(folder, 'job.json')
  const job = await paceJob({
    data: values.data,
    maxTokens: wholeNumber('max-tokens', values['max-tokens'], 3),
    provider: providerOf(values.provider),
    threads: wholeNumber('threads', values.threads),
    steps: wholeNumber('steps', values.steps),
    warmupSteps: wholeNumber('warmup', values.warmup, 0),
  })
  await writeFile(jobFile, JSON.stringify(job))
  const results = await inTurn(
    [ours(jobFile), ...(['fp32', 'bf16'] as const).flatMap((precision) => torch(python, precision, jobFile))],
    wholeNumber('rounds', values.rounds),
    (name, round, result) => {
      say(`round ${round}, ${name}: ${rateOf(result).toFixed(0)} tokens/s`)
    },
  )
  const rows = [...results].map(([name, runs]) => ({ name, ...figuresOf(runs) }))
  checkSameWork(rows)
  const report = reportOf(job, rows)
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : `${textOf(report)}\n`)
} finally {
  await rm(folder, { recursive: true, force: true })
}

function providerOf(name: string): PaceJob['provider'] {
  if (name === 'cpu' || name === 'cuda') return name
  throw new Error(`--provider takes cpu or cuda, not ${name}`)
}

function ours(jobFile: string): Contender<PaceResult> {
  const program = fileURLToPath(new URL('./pace-ours.js', import.meta.url))
  return {
    name: 'labelstream fp32',
    run: () =>
      printedJson(process.execPath, [program, jobFile], {
        env: { ORT_DISABLE_TELEMETRY: '1' },
      }) as Promise<PaceResult>,
  }
}

function torch(command: string, precision: 'fp32' | 'bf16', jobFile: string): Contender<PaceResult>[] {
  const program = join(packageRoot, 'test', 'bench', 'torch_pace.py')
  const args = [program, jobFile, ...(precision === 'bf16' ? ['--bf16'] : [])]
  return (['active', 'passive'] as const).map((policy) => ({
    name: `PyTorch ${precision}, ${policy} waiting`,
    run: () =>
      printedJson(command, args, {
        env: policy === 'passive' ? { OMP_WAIT_POLICY: 'passive' } : {},
      }) as Promise<PaceResult>,
  }))
}

/** Real tokens a second of the timed steps. */
function rateOf({ tokens, seconds }: PaceResult): number {
  return tokens / seconds
}

function figuresOf(runs: readonly PaceResult[]) {
  return {
    tokensPerSecond: spreadOf(runs.map(rateOf)),
    stepMs: median(runs.map(({ medianStepMs }) => medianStepMs)),
    peakMemoryBytes: Math.max(...runs.map(({ peakMemoryBytes }) => peakMemoryBytes)),
    startLoss: runs[0]?.startLoss ?? NaN,
    loss: median(runs.map(({ loss }) => loss)),
  }
}

type Row = { readonly name: string } & ReturnType<typeof figuresOf>

/** The better of the two ways of waiting. */
function bestOf(rows: readonly Row[], precision: 'fp32' | 'bf16'): number {
  const theirs = rows.filter(({ name }) => name.startsWith(`PyTorch ${precision}`))
  return Math.max(...theirs.map(({ tokensPerSecond }) => tokensPerSecond.median))
}

function checkSameWork(rows: readonly Row[]): void {
  const expected = rows[0]?.startLoss ?? NaN
  for (const { name, startLoss } of rows) {
    const allowed = name.includes('bf16') ? tolerance.bf16 : tolerance.fp32
    if (Math.abs(startLoss - expected) <= allowed * expected) continue
    throw new Error(`${name} starts with loss ${startLoss}, labelstream with ${expected}: not the same work`)
  }
}

function reportOf(job: PaceJob, rows: readonly Row[]) {
  const mine = rows[0]?.tokensPerSecond.median ?? NaN
  return {
    batch: job.hyperparameters.batch,
    maxTokens: Number(values['max-tokens']),
    provider: job.provider,
    threads: job.threads,
    labels: job.labels.length,
    steps: job.batches.length - job.warmupSteps,
    rounds: Number(values.rounds),
    rows: rows.map((row) => ({ ...row, ratio: mine / row.tokensPerSecond.median })),
    ratios: { fp32: mine / bestOf(rows, 'fp32'), bf16: mine / bestOf(rows, 'bf16') },
  }
}

function textOf({ rows, ratios, ...report }: ReturnType<typeof reportOf>): string {
  const header = ['', 'real tokens/s', 'least', 'most', 'step, ms', 'peak MiB', 'loss', 'labelstream / this']
  const body = rows.map(({ name, tokensPerSecond, stepMs, peakMemoryBytes, loss, ratio }) => [
    name,
    Math.round(tokensPerSecond.median),
    Math.round(tokensPerSecond.min),
    Math.round(tokensPerSecond.max),
    Math.round(stepMs),
    Math.round(peakMemoryBytes / 1_048_576),
    loss.toFixed(4),
    ratio.toFixed(2),
  ])
  return [
    table(header, body),
    `median of ${report.rounds} rounds of ${report.steps} steps of ${report.batch} texts of at most ${report.maxTokens} tokens, ${report.labels} labels, ${report.threads} threads`,
    `labelstream / PyTorch at its better way of waiting: fp32 ${ratios.fp32.toFixed(2)}, bf16 ${ratios.bf16.toFixed(2)}`,
  ].join('\n')
}
