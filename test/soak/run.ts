import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { monotonicMs, sleep } from '../../src/core/clock.ts'
import { messageOf } from '../../src/core/errors.ts'
import { writerSchemas } from '../../src/formats/avro-value.ts'
import { decodeLabelScores } from '../../src/formats/scores.ts'
import { committedOffsets, endOffsets } from '../../src/kafka/admin.ts'
import { readRange } from '../../src/kafka/read-range.ts'
import { promote } from '../../src/models/champion.ts'
import type { CheckResult, DeliveryMode } from '../fault/checker.ts'
import { Job } from '../fault/job.ts'
import type { Member } from '../fault/member.ts'
import { modelReference } from '../fault/reference.ts'
import type { FaultWorld } from '../fault/world.ts'
import { type RandomModelSize, writeSmallModel } from '../support/small-model.ts'
import type { SoakRun, SoakSample } from './report.ts'
import { parseMetrics, sampleProcess } from './sampler.ts'
import { type Reference, SoakTally } from './tally.ts'

export interface SoakOptions {
  readonly minutes: number
  /** Of what one member can do alone. */
  readonly load: number
  readonly delivery: DeliveryMode
  readonly size: RandomModelSize
  /** Texts a second, whatever the capacity is. */
  readonly mostPerSecond: number
  readonly say: (text: string) => void
}

const capacityMessages = 6_000
const sampleEveryMs = 5_000
const rebalanceEveryMs = 60_000
/** How long the second member stays. */
const visitMs = 20_000
const promoteEveryMs = 120_000
const orderlyEndMs = 60_000
const restMs = 600_000

/** Two versions of one model, and what each says of every text. */
interface Models {
  readonly folder: string
  readonly versions: readonly string[]
  readonly reference: Reference
}

/** Measures what one member can do, lets it work at a share of that, and looks at everything in the end. */
export async function runSoak(world: FaultWorld, options: SoakOptions): Promise<SoakRun> {
  const { minutes, load, delivery, say } = options
  const models = await makeModels(world, options.size)
  const settings = {
    'models.folder': models.folder,
    model: modelName,
    'runtime.threads': 0,
    'runtime.deadlineMs': 30_000,
    'stream.cacheEntries': 0,
    'stream.commitIntervalMs': 1_000,
    'exactlyOnce.transactionMs': 100,
    'log.level': 'info',
  }
  const common = { mode: delivery, settings, poisonShare: 0.001, proxied: false } as const
  const capacity = await measureCapacity(world, { ...common, name: 'capacity' })
  const rate = Math.min(options.mostPerSecond, capacity * load)
  say(`one member scores ${capacity.toFixed(0)} texts/s; ${rate.toFixed(0)} texts/s are written from now on`)

  const produceMs = minutes * 60_000
  const job = await Job.create(world, {
    ...common,
    name: `soak-${delivery}`,
    messages: Math.ceil((rate * produceMs) / 1_000),
    produceMs,
  })
  try {
    const member = job.startMember()
    await member.assigned()
    const samples: SoakSample[] = []
    const production = job.produce()
    // awaited below; what fails in between must not make it unhandled
    production.catch(() => undefined)
    const over = new AbortController()
    const visits: (string | undefined)[] = []
    const disturbances = [
      everySo(rebalanceEveryMs, over.signal, async () => {
        visits.push(await visit(job).catch((error: unknown) => messageOf(error)))
      }),
      everySo(promoteEveryMs, over.signal, async (turn) => {
        await promote(models.folder, modelName, models.versions[turn % 2] ?? '')
        say(`version ${(turn % 2) + 1} is the champion, lag ${samples.at(-1)?.lag ?? 0}`)
      }),
    ]
    const startedMs = monotonicMs()
    const sampling = everySo(sampleEveryMs, over.signal, async () => {
      // a broker that is slow to answer costs a sample
      const sample = await sampleOf(job, member, (monotonicMs() - startedMs) / 1_000).catch(() => undefined)
      if (sample !== undefined) samples.push(sample)
    })
    await production
    over.abort()
    const [, promotions = 0] = await Promise.all([...disturbances, sampling])
    const reloads = await reloadsOf(member)
    const rebalances = member.log.split('partitions assigned').length - 2
    say('all input is written; the rest is worked off')
    for (const each of job.running) each.signal('SIGTERM')
    await Promise.all(job.running.map((each) => each.ended(orderlyEndMs)))
    await job.finish(restMs)
    const { inputs, checks } = await checkAll(job, models.reference)
    return {
      seed: world.seed,
      delivery,
      minutes,
      capacity,
      rate,
      inputs,
      rebalances,
      promotions,
      reloads,
      samples,
      checks: [...checks, job.endedByThemselves(), visitsCheck(visits)],
    }
  } finally {
    await job.kill()
  }
}

const modelName = 'small'

async function makeModels(world: FaultWorld, size: RandomModelSize): Promise<Models> {
  const folder = join(world.folder, 'soak-models')
  await mkdir(folder)
  const made = [await writeSmallModel(folder, 1, { size }), await writeSmallModel(folder, 2, { size })]
  const references = new Map<string, readonly Readonly<Record<string, number>>[]>()
  for (const { path } of made) {
    const { digest, answers } = await modelReference(path, world.texts)
    references.set(
      digest,
      answers.map(({ scores }) => scores),
    )
  }
  const versions = made.map(({ version }) => version)
  await promote(folder, modelName, versions[1] ?? '')
  return { folder, versions, reference: (digest, number) => references.get(digest)?.[number] }
}

/** Texts a second of one member that finds its input written: the better of two runs. */
async function measureCapacity(
  world: FaultWorld,
  options: Omit<Parameters<typeof Job.create>[1], 'messages' | 'produceMs'>,
): Promise<number> {
  const rates: number[] = []
  const job = await Job.create(world, { ...options, messages: capacityMessages, produceMs: 1 })
  for (let round = 0; round < 2; round++) {
    await job.produce()
    const { printed } = await job.finish(restMs)
    rates.push((JSON.parse(printed) as { textsPerSecond: number }).textsPerSecond)
  }
  return Math.max(...rates)
}

/** Calls now and then until the signal aborts; resolves to how often. */
async function everySo(
  everyMs: number,
  over: AbortSignal,
  work: (turn: number) => Promise<unknown>,
): Promise<number> {
  const startedMs = monotonicMs()
  for (let turn = 0; ; turn++) {
    await sleep(Math.max(0, startedMs + (turn + 1) * everyMs - monotonicMs()), over)
    if (over.aborted) return turn
    await work(turn)
  }
}

async function visit(job: Job): Promise<undefined> {
  const visitor = job.startMember()
  try {
    await visitor.assigned()
    await sleep(visitMs)
    visitor.signal('SIGTERM')
    await visitor.ended(orderlyEndMs)
  } finally {
    if (visitor.running) await visitor.kill()
  }
}

/** `visits`: what went wrong with each, undefined for nothing. */
function visitsCheck(visits: readonly (string | undefined)[]): CheckResult {
  const failed = visits.filter((visit) => visit !== undefined)
  return {
    name: 'a second member joins and leaves',
    looked: visits.length,
    broken: failed.length,
    examples: failed.slice(0, 5),
  }
}

async function sampleOf(job: Job, member: Member, seconds: number): Promise<SoakSample | undefined> {
  const processes = member.pid === undefined ? undefined : sampleProcess(member.pid)
  if (processes === undefined) return undefined
  const { client } = job.world
  // the ends first: then nothing is counted that was committed and not there yet
  const ends = await endOffsets(client, job.topics.input)
  const committed = await committedOffsets(client, job.group, job.topics.input)
  const lag = [...ends].reduce(
    (sum, [partition, end]) => sum + Math.max(0, end - (committed.get(partition) ?? 0)),
    0,
  )
  const metrics = await metricsOf(member)
  return { seconds, ...processes, handles: metrics.get('nodejs_active_resources_total') ?? 0, lag }
}

/** The member's page of metrics; empty when it does not answer. */
async function metricsOf(member: Member): Promise<ReadonlyMap<string, number>> {
  const url = /"metrics":"([^"]+)"/.exec(member.log)?.[1]
  if (url === undefined) return new Map()
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    return parseMetrics(await response.text())
  } catch {
    return new Map()
  }
}

async function reloadsOf(member: Member): Promise<Readonly<Record<string, number>>> {
  const rows = [...(await metricsOf(member))].flatMap(([name, value]) => {
    const result = /^labelstream_model_reloads_total\{result="(.+)"\}$/.exec(name)?.[1]
    return result === undefined ? [] : [[result, value] as const]
  })
  return Object.fromEntries(rows)
}

async function checkAll(job: Job, reference: Reference): Promise<{ inputs: number; checks: CheckResult[] }> {
  const { client } = job.world
  const { input, scores, deadLetters } = job.topics
  const ends = await endOffsets(client, input)
  const tally = new SoakTally(job.options.mode, ends, reference)
  for await (const message of readRange(client, input)) tally.input(message)
  const schemas = writerSchemas()
  for await (const { value } of readRange(client, scores)) {
    tally.score(await decodeLabelScores(value ?? Buffer.of(), schemas))
  }
  for await (const message of readRange(client, deadLetters)) tally.deadLetter(message)
  const committed = await committedOffsets(client, job.group, input)
  const behind = [...ends].filter(([partition, end]) => end > 0 && committed.get(partition) !== end)
  const toTheEnd: CheckResult = {
    name: 'everything is committed in the end',
    looked: ends.size,
    broken: behind.length,
    examples: behind.map(([partition, end]) => `${partition}: ${committed.get(partition)} of ${end}`),
  }
  return { inputs: tally.inputs, checks: [...tally.results(), toTheEnd] }
}
