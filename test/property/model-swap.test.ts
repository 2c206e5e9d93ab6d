import assert from 'node:assert/strict'
import fc from 'fast-check'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import type { PipelineTotals } from '../../src/stream/totals.ts'
import { startBusyPipeline } from '../support/busy-pipeline.ts'
import { pretendedScorer } from '../support/pretended-model.ts'
import { type PretendedText, textKind } from '../support/pretended-text.ts'
import { StreamWorld } from '../support/stream-world.ts'

const texts = (poison: number): fc.Arbitrary<PretendedText[][]> =>
  fc.array(
    fc.array(
      fc.record({
        kind: textKind(poison),
        gap: fc.constantFrom(0, 0, 0, 0, 2),
      }),
      { maxLength: 120 },
    ),
    { minLength: 1, maxLength: 4 },
  )

/** After so many turns of the event loop: another model, two at once, or a rebalance. */
const event = fc.record({
  turns: fc.integer({ min: 0, max: 40 }),
  what: fc.constantFrom('swap' as const, 'swap' as const, 'swap twice' as const, 'rebalance' as const),
})

interface Run {
  readonly crashes: number
  readonly cacheEntries: number
  readonly transactions: boolean
}

/** Scores the world's texts while models come and go. What leaves is ended as soon as the pipeline says it may be. */
async function scoreAll(
  world: StreamWorld,
  events: readonly { turns: number; what: 'swap' | 'swap twice' | 'rebalance' }[],
  { crashes, cacheEntries, transactions }: Run,
): Promise<{ versions: number; left: number; totals: PipelineTotals }> {
  let scorer = pretendedScorer(world, crashes)
  const writer = transactions ? world.transactions : world.writer
  const { pipeline, reader } = await startBusyPipeline(world, scorer, { writer, cacheEntries })
  let versions = 1
  let left = 0
  const swap = (): void => {
    const before = scorer
    scorer = pretendedScorer(world, crashes, versions++)
    void pipeline.swap(scorer).then(() => {
      before.end()
      left++
    })
  }
  for (const { turns, what } of events) {
    for (let turn = 0; turn < turns; turn++) await nextTurn()
    if (what === 'rebalance') reader.assign(world.endOffsets.map(({ partition }) => partition))
    else swap()
    if (what === 'swap twice') swap()
  }
  await pipeline.untilEnd(world.endOffsets)
  await pipeline.stop({ deadlineMs: 1_000 })
  assert.equal(pipeline.inFlightBytes, 0)
  return { versions, left, totals: pipeline.totals }
}

describe('models that follow one another in a pipeline', () => {
  test('every event is of one model, nothing is lost, doubled or out of order, and every earlier model is let go', async () => {
    await fc.assert(
      fc.asyncProperty(
        texts(1),
        fc.integer(),
        fc.array(event, { minLength: 1, maxLength: 6 }),
        fc.constantFrom(0, 0.1),
        fc.constantFrom(0, 4, 1_000),
        async (messages, seed, events, crashes, cacheEntries) => {
          const world = new StreamWorld(messages, seededRandom(seed), cacheEntries === 0 ? undefined : 7)
          const { versions, left } = await scoreAll(world, events, {
            crashes,
            cacheEntries,
            transactions: true,
          })
          world.check(false)
          assert.equal(left, versions - 1)
        },
      ),
      { numRuns: 80 },
    )
  })

  test('along a partition the versions only go forward', async () => {
    await fc.assert(
      fc.asyncProperty(
        texts(0),
        fc.integer(),
        fc.array(event, { minLength: 1, maxLength: 6 }),
        fc.constantFrom(0, 0.1),
        async (messages, seed, all, crashes) => {
          const world = new StreamWorld(messages, seededRandom(seed))
          const events = all.filter(({ what }) => what !== 'rebalance')
          const run = { crashes, cacheEntries: 0, transactions: false }
          const { consumed, scored, deadLettered, skipped, realTokens } = (await scoreAll(world, events, run))
            .totals
          world.check(false)
          assert.equal(consumed, scored + deadLettered + skipped)
          assert.equal(realTokens > 0, scored > 0)
          const last = new Map<number, number>()
          for (const { partition, version } of world.outcomes) {
            if (version === undefined) continue
            assert.ok(version >= (last.get(partition) ?? 0), `partition ${partition} went back to ${version}`)
            last.set(partition, version)
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})
