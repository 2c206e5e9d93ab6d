import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { DeliveryAudit } from '../../src/stream/delivery-audit.ts'

const topic = 'texts'
const outputPartitions = 2

const world = fc.record({
  seed: fc.integer(),
  partitions: fc.integer({ min: 1, max: 5 }),
  offsets: fc.integer({ min: 1, max: 300 }),
  /** Beyond a chunk of the books. */
  firstOffset: fc.constantFrom(0, 65_500, 2 ** 40),
  gaps: fc.double({ min: 0, max: 0.5, noNaN: true }),
  drops: fc.double({ min: 0, max: 0.2, noNaN: true }),
  repeats: fc.double({ min: 0, max: 0.2, noNaN: true }),
  dead: fc.double({ min: 0, max: 0.3, noNaN: true }),
  swaps: fc.double({ min: 0, max: 0.1, noNaN: true }),
})

const byPlace = (positions: Iterable<string>): string[] => [...positions].sort()

test('whatever is dropped, repeated, removed and out of order is found, and nothing else', () => {
  fc.assert(
    fc.property(world, ({ seed, partitions, offsets, firstOffset, gaps, drops, repeats, dead, swaps }) => {
      const random = seededRandom(seed)
      const chance = (probability: number): boolean => random.next() < probability
      const to = firstOffset + offsets
      const beginnings = new Map(Array.from({ length: outputPartitions }, (_, partition) => [partition, 0]))
      const outcomes = { beginnings, compacted: false }
      const audit = new DeliveryAudit({
        topic,
        ranges: Array.from({ length: partitions }, (_, partition) => ({
          ...{ partition, beginning: firstOffset, from: firstOffset, to },
        })),
        scores: outcomes,
        deadLetters: outcomes,
        examples: Infinity,
      })
      const dropped = new Set<string>()
      const repeated = new Set<string>()
      const late = new Set<string>()
      const gone = new Set<string>()
      let inputs = 0
      for (let partition = 0; partition < partitions; partition++) {
        const outputPartition = partition % outputPartitions
        const at = (offset: number) => ({ topic, partition, offset, timestampMs: 7 * offset })
        const wanted: number[] = []
        for (let offset = firstOffset; offset < to; offset++) {
          const name = `${partition}/${offset}`
          if (chance(gaps)) {
            if (chance(0.1)) gone.add(name)
            continue
          }
          inputs++
          audit.input({ ...at(offset), value: Buffer.of(1) })
          if (chance(drops)) dropped.add(name)
          else wanted.push(offset)
        }
        // neighbours change places: the earlier one of a pair comes late
        const letters = wanted.filter(() => chance(dead))
        const scores = wanted.filter((offset) => !letters.includes(offset))
        for (const [kind, list] of [
          ['score', scores],
          ['deadLetter', letters],
        ] as const) {
          for (let place = 1; place < list.length; place += 2) {
            const [before = 0, after = 0] = [list[place - 1], list[place]]
            if (!chance(swaps)) continue
            list[place - 1] = after
            list[place] = before
            late.add(`${partition}/${before}`)
          }
          const told: number[] = []
          for (const offset of list) {
            told.push(offset)
            if (!chance(repeats)) continue
            // a crash: the last few are done again
            const again = told.slice(-1 - random.integer(3))
            for (const one of again) repeated.add(`${partition}/${one}`)
            told.push(...again)
          }
          for (const offset of told) {
            audit.record(kind, { partition: outputPartition, timestampMs: 0 })
            assert.ok(audit.outcome(kind, outputPartition, at(offset)))
          }
        }
      }
      for (const name of gone) {
        const [partition = 0, offset = 0] = name.split('/').map(Number)
        assert.ok(!audit.outcome('score', partition % outputPartitions, { topic, partition, offset }))
      }
      const { examples, ...counts } = audit.findings()
      const named = (kind: keyof typeof examples): string[] =>
        byPlace(examples[kind].map(({ partition, offset }) => `${partition}/${offset}`))
      assert.deepEqual(named('missing'), byPlace(dropped))
      assert.deepEqual(named('duplicated'), byPlace(repeated))
      assert.deepEqual(named('outOfOrder'), byPlace(late))
      assert.deepEqual(named('sourceGone'), byPlace(gone))
      assert.equal(counts.inputs, inputs)
      assert.equal(counts.scored + counts.deadLettered + counts.missing, inputs)
      assert.equal(counts.missing, dropped.size)
      assert.equal(counts.eventsGone, 0)
    }),
    { numRuns: 200 },
  )
})
