import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { DeliveryAudit } from '../../src/stream/delivery-audit.ts'

const topic = 'texts'
const outputPartitions = 2

/** Up to `most`, in hundredths: doubles themselves would nearly all be next to 0. */
const share = (most: number) => fc.integer({ min: 0, max: 100 * most }).map((hundredths) => hundredths / 100)

const world = fc.record({
  seed: fc.integer(),
  partitions: fc.integer({ min: 1, max: 5 }),
  offsets: fc.integer({ min: 1, max: 300 }),
  /** Beyond a chunk of the books. */
  firstOffset: fc.constantFrom(0, 65_500, 2 ** 40),
  gaps: share(0.5),
  drops: share(0.2),
  repeats: share(0.2),
  dead: share(0.3),
  swaps: share(0.1),
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

const retained = fc.record({
  seed: fc.integer(),
  partitions: fc.integer({ min: 1, max: 4 }),
  offsets: fc.integer({ min: 1, max: 80 }),
  drops: share(0.2),
  crashes: share(0.1),
  dead: share(0.3),
  cutScores: fc.array(share(1), { minLength: 2, maxLength: 2 }),
  cutDeadLetters: share(1),
})

test('whatever retention took of the outcomes, none that was published is called missing or out of order', () => {
  fc.assert(
    fc.property(
      retained,
      ({ seed, partitions, offsets, drops, crashes, dead, cutScores, cutDeadLetters }) => {
        const random = seededRandom(seed)
        const chance = (probability: number): boolean => random.next() < probability
        const kinds = new Map<string, 'score' | 'deadLetter' | 'dropped'>()
        for (let partition = 0; partition < partitions; partition++) {
          for (let offset = 0; offset < offsets; offset++) {
            kinds.set(
              `${partition}/${offset}`,
              chance(drops) ? 'dropped' : chance(dead) ? 'deadLetter' : 'score',
            )
          }
        }
        // partitions go on in turn; a crash takes one back a few inputs; the clock goes on
        const logs = { score: [[], []] as Written[][], deadLetter: [[]] as Written[][] }
        const next = new Array<number>(partitions).fill(0)
        const inputMs = new Map<string, number>()
        for (let nowMs = 0; next.some((offset) => offset < offsets); nowMs += random.integer(2)) {
          const partition = random.integer(partitions)
          const offset = next[partition] ?? 0
          if (offset >= offsets) continue
          const name = `${partition}/${offset}`
          if (!inputMs.has(name)) inputMs.set(name, nowMs - random.integer(5))
          const kind = kinds.get(name)
          if (kind === 'score') logs.score[partition % 2]?.push({ partition, offset, nowMs })
          if (kind === 'deadLetter') logs.deadLetter[0]?.push({ partition, offset, nowMs })
          next[partition] = chance(crashes) ? Math.max(0, offset - random.integer(6)) : offset + 1
        }
        const cut = {
          score: logs.score.map((log, index) => Math.floor(log.length * (cutScores[index] ?? 0))),
          deadLetter: logs.deadLetter.map((log) => Math.floor(log.length * cutDeadLetters)),
        }
        const topicOf = (kind: 'score' | 'deadLetter') => ({
          beginnings: new Map(cut[kind].entries()),
          compacted: false,
        })
        const audit = new DeliveryAudit({
          topic,
          ranges: next.map((_, partition) => ({ partition, beginning: 0, from: 0, to: offsets })),
          scores: topicOf('score'),
          deadLetters: topicOf('deadLetter'),
          examples: Infinity,
        })
        for (const [name, timestampMs] of inputMs) {
          const [partition = 0, offset = 0] = name.split('/').map(Number)
          audit.input({ topic, partition, offset, timestampMs, value: Buffer.of(1) })
        }
        const left = new Set<string>()
        for (const kind of ['score', 'deadLetter'] as const) {
          logs[kind].forEach((log, outcomePartition) => {
            for (const { partition, offset, nowMs } of log.slice(cut[kind][outcomePartition])) {
              left.add(`${partition}/${offset}`)
              audit.record(kind, { partition: outcomePartition, timestampMs: nowMs })
              audit.outcome(kind, outcomePartition, { topic, partition, offset })
            }
          })
        }
        const { examples, eventsGone, missing, outOfOrder, inputs } = audit.findings()
        assert.equal(outOfOrder, 0)
        for (const { partition, offset } of examples.missing) {
          assert.equal(kinds.get(`${partition}/${offset}`), 'dropped', `${partition}/${offset}`)
        }
        assert.equal(missing + eventsGone, inputs - left.size)
        const nothingCut = [...cut.score, ...cut.deadLetter].every((count) => count === 0)
        if (nothingCut) assert.equal(eventsGone, 0)
      },
    ),
    { numRuns: 300 },
  )
})

interface Written {
  readonly partition: number
  readonly offset: number
  readonly nowMs: number
}
