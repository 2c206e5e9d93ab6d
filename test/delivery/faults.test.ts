import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, test } from 'node:test'
import { type FaultWorld, startFaultWorld } from '../fault/world.ts'
import { runScenario, type ScenarioReport } from '../fault/scenario.ts'
import { killBroker } from '../fault/scenarios/brokers.ts'
import { killMemberOfEach } from '../fault/scenarios/processes.ts'

const seed = Number(process.env['FAULT_SEED'] ?? Date.now() % 1_000_000)
const job = { messages: 3_000, produceMs: 30_000, poisonShare: 0.02 } as const

let world: FaultWorld | undefined
after(async () => {
  await world?.close()
  if (world !== undefined) await rm(world.folder, { recursive: true, force: true })
})

/** What the test says when it fails: enough to run it again. */
function broken({ jobs }: ScenarioReport): string[] {
  return jobs.flatMap(({ job: name, checks }) =>
    checks
      .filter((check) => check.broken > 0)
      .map((check) => `seed ${seed}: ${name}: ${check.name}: ${check.broken}: ${check.examples.join('; ')}`),
  )
}

test('both delivery modes keep their promises while members and a broker are killed', async (t) => {
  world = await startFaultWorld(seed)
  const report = await runScenario(
    world,
    {
      name: 'short',
      members: 2,
      calmMs: 2_000,
      faults: { killMemberOfEach, killBroker, killMembersAgain: killMemberOfEach },
      count: 3,
      jobs: [
        { ...job, mode: 'at-least-once' },
        { ...job, mode: 'exactly-once' },
      ],
    },
    (what) => {
      t.diagnostic(what)
    },
  )
  assert.deepEqual(broken(report), [])
  for (const { inputs, scores } of report.jobs) {
    assert.ok(inputs >= job.messages)
    assert.ok(scores > 0)
  }
})
