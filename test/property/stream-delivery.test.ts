import assert from 'node:assert/strict'
import fc from 'fast-check'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import type { Pipeline } from '../../src/stream/pipeline.ts'
import type { TransactionPort, WriterPort } from '../../src/stream/ports.ts'
import { startBusyPipeline } from '../support/busy-pipeline.ts'
import { pretendedScorer } from '../support/pretended-model.ts'
import { type PretendedText, textKind } from '../support/pretended-text.ts'
import { StreamWorld } from '../support/stream-world.ts'

const text: fc.Arbitrary<PretendedText> = fc.record({
  kind: textKind(1),
  gap: fc.oneof(
    { weight: 9, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }) },
  ),
})

const partitions = fc.array(fc.array(text, { maxLength: 120 }), { minLength: 1, maxLength: 4 })

/** After so many turns of the event loop: a rebalance to these partitions, or a stop and a new start. */
const interruption = fc.record({
  turns: fc.integer({ min: 0, max: 60 }),
  what: fc.oneof(
    fc.record({ keep: fc.integer({ min: 0, max: 15 }) }),
    fc.record({ stopWithinMs: fc.constantFrom(0, 5, 1_000) }),
  ),
})

const startPipeline = (
  world: StreamWorld,
  crashes: number,
  writer: WriterPort | TransactionPort = world.writer,
  cacheEntries = 0,
) => startBusyPipeline(world, pretendedScorer(world, crashes), { writer, cacheEntries })

type Interruption = typeof interruption extends fc.Arbitrary<infer Value> ? Value : never

/** Lets pipelines live through the interruptions, then gives the last one every partition and waits until all is done. */
async function liveThrough(
  world: StreamWorld,
  interruptions: readonly Interruption[],
  start: () => ReturnType<typeof startPipeline>,
): Promise<Pipeline> {
  const all = [...world.endOffsets.keys()]
  let { pipeline, reader } = await start()
  for (const { turns, what } of interruptions) {
    for (let turn = 0; turn < turns; turn++) await nextTurn()
    if ('keep' in what) reader.assign(all.filter((partition) => (what.keep >> partition) & 1))
    else {
      await pipeline.stop({ deadlineMs: what.stopWithinMs })
      ;({ pipeline, reader } = await start())
    }
  }
  reader.assign(all)
  await pipeline.untilEnd(world.endOffsets)
  await pipeline.stop({ deadlineMs: 30_000 })
  return pipeline
}

describe('the pipeline, over random faults', () => {
  test('gives every message its outcome exactly once, in order, when only inference fails', async () => {
    await fc.assert(
      fc.asyncProperty(
        partitions,
        fc.integer(),
        fc.constantFrom(0, 0.1, 0.3),
        async (texts, seed, crashes) => {
          const world = new StreamWorld(texts, seededRandom(seed))
          const { pipeline } = await startPipeline(world, crashes)
          await pipeline.untilEnd(world.endOffsets)
          await pipeline.stop({ deadlineMs: 30_000 })
          await pipeline.finished
          world.check(false)
          const { consumed, scored, deadLettered, skipped } = pipeline.totals
          assert.equal(consumed, texts.flat().length)
          assert.equal(consumed, scored + deadLettered + skipped)
          assert.equal(pipeline.inFlightBytes, 0)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('loses nothing and commits nothing early through rebalances, stops and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        partitions,
        fc.integer(),
        fc.array(interruption, { maxLength: 5 }),
        async (texts, seed, interruptions) => {
          const world = new StreamWorld(texts, seededRandom(seed))
          await liveThrough(world, interruptions, () => startPipeline(world, 0.1))
          world.check(true)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('keeps every promise when identical texts are scored once, through rebalances, stops and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        partitions,
        fc.integer(),
        fc.array(interruption, { maxLength: 5 }),
        fc.constantFrom(1, 4, 1_000),
        async (texts, seed, interruptions, cacheEntries) => {
          const world = new StreamWorld(texts, seededRandom(seed), 7)
          const pipeline = await liveThrough(world, interruptions, () =>
            startPipeline(world, 0.1, world.transactions, cacheEntries),
          )
          world.check(false)
          assert.equal(pipeline.inFlightBytes, 0)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('delivers exactly once in transactions, through rebalances, lost lanes, stops and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        partitions,
        fc.integer(),
        fc.array(interruption, { maxLength: 5 }),
        async (texts, seed, interruptions) => {
          const world = new StreamWorld(texts, seededRandom(seed))
          await liveThrough(world, interruptions, () => startPipeline(world, 0.1, world.transactions))
          world.check(false)
        },
      ),
      { numRuns: 60 },
    )
  })
})
