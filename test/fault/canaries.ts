import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packageRoot } from '../../src/core/paths.ts'
import type { DeliveryMode } from './checker.ts'
import type { Fault } from './fault.ts'
import { runScenario } from './scenario.ts'
import { freezeInference } from './scenarios/inference.ts'
import { freezeMember } from './scenarios/processes.ts'
import { killWhileWritesWait, loseCommitReplies } from './scenarios/protocol.ts'
import { promoteOther } from './scenarios/reload.ts'
import type { FaultWorld } from './world.ts'

/** One fault put into the program on purpose, which the harness has to find. */
interface Canary {
  readonly name: string
  readonly mode: DeliveryMode
  readonly faults: Readonly<Record<string, Fault>>
  /** Enough to have work in hand at any moment. */
  readonly messages?: number
  readonly settings?: Readonly<Record<string, number>>
  readonly followsChampion?: boolean
  /** The check that must be broken. */
  readonly caughtBy: RegExp
  readonly patches: readonly { readonly file: string; readonly from: string; readonly to: string }[]
}

const publish =
  'await Promise.all(this.#plan.batches(stream.partition, run).map((batch) => this.#send(batch)));'
const acknowledge = 'this.#effects.acknowledged(stream, run);'

const canaries: readonly Canary[] = [
  {
    name: 'commit-before-ack',
    mode: 'at-least-once',
    faults: { killWhileWritesWait },
    caughtBy: /committed offsets are not ahead|every input has/,
    patches: [
      { file: 'stream/at-least-once.js', from: acknowledge, to: '' },
      { file: 'stream/at-least-once.js', from: publish, to: `${acknowledge} ${publish}` },
    ],
  },
  {
    name: 'no-epoch-guard',
    mode: 'exactly-once',
    faults: { freezeMember },
    messages: 15_000,
    settings: { 'exactlyOnce.transactionMs': 1_000 },
    caughtBy: /sees each input once/,
    patches: [
      {
        file: 'kafka/lanes.js',
        from: "if (fencedTypes.has(protocolErrorType(error) ?? ''))",
        to: 'if (false)',
      },
      { file: 'kafka/lanes.js', from: "if (found !== 'nothing')", to: 'if (false)' },
    ],
  },
  {
    // a member that was frozen goes on with partitions that others have by then, and commits what it finished
    name: 'no-epoch-guard-at-least-once',
    mode: 'at-least-once',
    faults: { freezeMember },
    messages: 15_000,
    caughtBy: /committed offsets never go back/,
    patches: [
      {
        file: 'kafka/reader.js',
        from: "if (member === undefined || ownership?.epoch !== epoch || ownership.state === 'over')",
        to: 'if (member === undefined)',
      },
      {
        file: 'kafka/reader.js',
        from: 'if (!offsets.every((offset) => ownership.owns(offset)))',
        to: 'if (false)',
      },
      {
        file: 'stream/pipeline.js',
        from: 'for (const stream of this.#streams.values())\n            stream.live = false;\n        this.#streams = new Map();',
        to: '',
      },
    ],
  },
  {
    name: 'model-not-pinned-to-a-batch',
    mode: 'at-least-once',
    faults: { promoteOther },
    followsChampion: true,
    settings: { 'batch.maxRows': 4, 'stream.cacheEntries': 0 },
    caughtBy: /those of the model whose digest the event names/,
    patches: [
      {
        // what comes back from inference is decided and signed by the model that serves by then
        file: 'stream/model-work.js',
        from: 'this.#builder = new ScoreBuilder(scorer, encodeScores, metrics);',
        to: 'this.#builder = globalThis.builderNow = new ScoreBuilder(scorer, encodeScores, metrics);',
      },
      {
        file: 'stream/model-work.js',
        from: 'outcomes.scored(message, this.#builder)',
        to: 'outcomes.scored(message, globalThis.builderNow)',
      },
    ],
  },
  {
    name: 'abort-on-the-same-producer',
    mode: 'exactly-once',
    faults: { loseCommitReplies },
    caughtBy: /sees each input once/,
    patches: [
      {
        file: 'kafka/lanes.js',
        from: 'held.producer = undefined;\n                if',
        to: 'await held.producer?.abort().catch(() => undefined);\n                if',
      },
      {
        file: 'kafka/transaction.js',
        from: 'async #produceInTurn',
        to: 'abort() { return this.#coordinators.transaction.endTxn({ ...this.#ids, transactionResult: false }); }\n    async #produceInTurn',
      },
    ],
  },
  {
    name: 'dead-letters-an-infrastructure-fault',
    mode: 'exactly-once',
    faults: { freezeInference },
    caughtBy: /only poison is dead-lettered/,
    patches: [
      {
        file: 'stream/lane.js',
        from: 'this.#suspects.push(items);',
        to: 'for (const item of items) this.#effects.condemned(item, error);',
      },
    ],
  },
]

export interface CanaryReport {
  readonly canary: string
  readonly caught: boolean
  /** What was found, or why the run could not be judged. */
  readonly findings: readonly string[]
}

/** Runs every broken build under the faults that should show it. */
export async function runCanaries(
  world: FaultWorld,
  note: (what: string) => void,
  only?: readonly string[],
): Promise<CanaryReport[]> {
  const reports: CanaryReport[] = []
  for (const canary of canaries) {
    if (only !== undefined && !only.includes(canary.name)) continue
    note(`canary ${canary.name}`)
    reports.push(await runCanary(world, canary, note))
  }
  return reports
}

async function runCanary(
  world: FaultWorld,
  canary: Canary,
  note: (what: string) => void,
): Promise<CanaryReport> {
  const folder = join(packageRoot, '.labelstream', `canary-${canary.name}-${process.pid}`)
  try {
    await breakBuild(folder, canary)
    const report = await runScenario(
      world,
      {
        name: `canary-${canary.name}`,
        faults: canary.faults,
        members: 2,
        calmMs: 1_000,
        count: 3,
        killInTheEnd: true,
        jobs: [
          {
            mode: canary.mode,
            messages: canary.messages ?? 3_000,
            produceMs: 20_000,
            poisonShare: 0.01,
            proxied: true,
            cliFile: join(folder, 'cli.js'),
            settings: canary.settings ?? {},
            followsChampion: canary.followsChampion ?? false,
          },
        ],
      },
      note,
    )
    const broken = report.jobs.flatMap(({ checks }) => checks).filter((check) => check.broken > 0)
    return {
      canary: canary.name,
      caught: broken.some(({ name }) => canary.caughtBy.test(name)),
      findings: broken.map(({ name, broken: times }) => `${name}: ${times}`),
    }
  } catch (error) {
    return {
      canary: canary.name,
      caught: false,
      findings: [error instanceof Error ? error.message : String(error)],
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A copy of the compiled program with the fault in it. Fails when the program is not as the patch expects. */
async function breakBuild(folder: string, { patches }: Canary): Promise<void> {
  const build = dirname(fileURLToPath(new URL('../../src/cli.js', import.meta.url)))
  await mkdir(folder, { recursive: true })
  await cp(build, folder, { recursive: true })
  for (const { file, from, to } of patches) {
    const path = join(folder, file)
    const code = await readFile(path, 'utf8')
    if (code.split(from).length !== 2) throw new Error(`${file} does not hold once: ${from}`)
    await writeFile(
      path,
      code.replace(from, () => to),
    )
  }
}
