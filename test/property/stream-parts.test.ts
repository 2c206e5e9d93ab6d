import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { nextDispatch } from '../../src/stream/batcher.ts'
import { isolate } from '../../src/stream/bisection.ts'
import { PartitionLedger } from '../../src/stream/ledger.ts'
import { Sequencer, type Sequenced } from '../../src/stream/sequencer.ts'
import { WaitingWindows, type Waiting } from '../../src/stream/waiting.ts'

interface Numbered extends Waiting {
  readonly number: number
}

const limits = fc.record({
  budgetTokens: fc.integer({ min: 64, max: 2_048 }),
  maxRows: fc.integer({ min: 1, max: 64 }),
  maxWaitMs: fc.integer({ min: 0, max: 50 }),
})

/** What happens next: windows arrive, time passes, the worker asks for work. */
const step = fc.oneof(
  fc.record({ arrive: fc.array(fc.integer({ min: 2, max: 64 }), { maxLength: 40 }) }),
  fc.record({ passMs: fc.integer({ min: 0, max: 30 }) }),
  fc.record({
    ask: fc.record({ moreExpected: fc.boolean(), workerIdle: fc.boolean(), draining: fc.boolean() }),
  }),
)

describe('the batcher, over random schedules', () => {
  test('never exceeds its limits, never holds a due window, sends every window once', () => {
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 200 }), (limit, schedule) => {
        const waiting = new WaitingWindows<Numbered>()
        const sent = new Set<number>()
        const oldestFirst: number[] = []
        let arrivals = 0
        let now = 0
        const drain = { moreExpected: false, workerIdle: true, draining: true }
        const ask = (situation: typeof drain): boolean => {
          const next = nextDispatch(waiting.buckets(), now, limit, situation)
          while (oldestFirst.length > 0 && sent.has(oldestFirst[0] ?? -1)) oldestFirst.shift()
          const oldest = oldestFirst[0]
          if ('waitMs' in next) {
            if (oldest === undefined) assert.equal(next.waitMs, Infinity)
            else assert.ok(next.waitMs > 0 && next.waitMs <= limit.maxWaitMs)
            assert.ok(oldest === undefined || !situation.draining)
            assert.ok(oldest === undefined || situation.moreExpected || !situation.workerIdle)
            return false
          }
          const due =
            now - waiting.buckets().reduce((min, b) => Math.min(min, b.oldestMs), Infinity) >= limit.maxWaitMs
          const rows = waiting.take(next.dispatch.longestTokens, next.dispatch.rows)
          assert.equal(rows.length, next.dispatch.rows)
          assert.ok(rows.length > 0 && rows.length <= limit.maxRows)
          const longest = Math.max(...rows.map((row) => row.tokens.length))
          assert.equal(longest, next.dispatch.longestTokens)
          assert.ok(rows.length * longest <= limit.budgetTokens)
          // Windows of the oldest arrival time are alike; among them the first in its bucket goes.
          if (due) assert.ok(Math.min(...rows.map((row) => row.arrivedMs)) <= now - limit.maxWaitMs)
          for (const row of rows) {
            assert.ok(!sent.has(row.number))
            sent.add(row.number)
          }
          return true
        }
        for (const event of schedule) {
          if ('arrive' in event) {
            for (const length of event.arrive) {
              oldestFirst.push(arrivals)
              waiting.add({ tokens: new Int32Array(length), arrivedMs: now, number: arrivals++ })
            }
          } else if ('passMs' in event) now += event.passMs
          else ask(event.ask)
        }
        while (ask(drain));
        assert.equal(sent.size, arrivals)
        assert.equal(waiting.size, 0)
      }),
      { numRuns: 300 },
    )
  })

  test('always takes the oldest window when it is due', () => {
    fc.assert(
      fc.property(
        limits,
        fc.array(fc.integer({ min: 2, max: 64 }), { minLength: 1, maxLength: 300 }),
        (limit, lengths) => {
          const waiting = new WaitingWindows<Numbered>()
          lengths.forEach((length, number) => {
            waiting.add({ tokens: new Int32Array(length), arrivedMs: number / 1_000, number })
          })
          const situation = { moreExpected: true, workerIdle: false, draining: false }
          const left = new Set(lengths.keys())
          while (left.size > 0) {
            const next = nextDispatch(waiting.buckets(), 1e6, limit, situation)
            assert.ok('dispatch' in next)
            const numbers = waiting
              .take(next.dispatch.longestTokens, next.dispatch.rows)
              .map((row) => row.number)
            assert.ok(numbers.includes(Math.min(...left)))
            for (const number of numbers) left.delete(number)
          }
        },
      ),
      { numRuns: 150 },
    )
  })
})

describe('the ledger, over random schedules', () => {
  test('commits exactly the gap-free prefix and never goes backwards', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ gap: fc.integer({ min: 0, max: 3 }), order: fc.nat() }), { maxLength: 300 }),
        fc.integer({ min: 1, max: 20 }),
        (entries, burst) => {
          const ledger = new PartitionLedger()
          let offset = 10
          const offsets = entries.map((entry) => (offset += 1 + entry.gap))
          const finished = new Set<number>()
          let before = -1
          for (let start = 0; start < offsets.length; start += burst) {
            const part = offsets.slice(start, start + burst)
            for (const entered of part) assert.ok(ledger.enter(entered))
            // Some stay open for a while: finish in an order of its own, leaving every third for later.
            const open = offsets.slice(0, start + part.length).filter((each) => !finished.has(each))
            open
              .filter((_, index) => (entries[index]?.order ?? 0) % 3 !== 0)
              .reverse()
              .forEach((each) => {
                finished.add(each)
                ledger.finish(each)
                const firstOpen = offsets.find((known) => !finished.has(known) && known <= (part.at(-1) ?? 0))
                const expected = firstOpen ?? (part.at(-1) ?? 0) + 1
                const committable = ledger.committable()
                if (committable !== undefined) {
                  assert.equal(committable, expected)
                  assert.ok(committable >= before)
                  before = committable
                } else assert.equal(expected, offsets[0])
              })
          }
          for (const each of offsets) ledger.finish(each)
          assert.equal(ledger.open, 0)
          if (offsets.length > 0) assert.equal(ledger.committable(), offset + 1)
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('the sequencer, over random schedules', () => {
  test('gives every item once, in order, within its limits, one run at a time', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ sizeBytes: fc.integer({ min: 0, max: 80 }), order: fc.nat() }), {
          maxLength: 200,
        }),
        (entries) => {
          const sequencer = new Sequencer<Sequenced>({ maxMessages: 7, maxBytes: 200 })
          const items = entries.map((_, offset): Sequenced => ({ offset, outcome: undefined }))
          for (const item of items) sequencer.push(item)
          const order = [...items.keys()].sort((a, b) => (entries[a]?.order ?? 0) - (entries[b]?.order ?? 0))
          const out: number[] = []
          const pull = (): boolean => {
            const run = sequencer.take()
            if (run.length === 0) return false
            assert.ok(run.length <= 7)
            const bytes = run.reduce((sum, item) => sum + (item.outcome?.sizeBytes ?? 0), 0)
            assert.ok(run.length === 1 || bytes <= 200)
            assert.deepEqual(sequencer.take(), [])
            out.push(...run.map((item) => item.offset))
            sequencer.acknowledge()
            return true
          }
          for (const index of order) {
            const item = items[index]
            if (item !== undefined) {
              item.outcome = { kind: 'score', sizeBytes: entries[index]?.sizeBytes ?? 0 }
            }
            pull()
          }
          while (pull());
          assert.deepEqual(out, [...items.keys()])
          assert.equal(sequencer.size, 0)
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('bisection, over random bad texts', () => {
  test('condemns exactly the bad ones and finishes each of the others once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 100 }),
        fc.array(fc.nat({ max: 300 }), { maxLength: 3 }),
        async (bad, hiccups) => {
          const done: number[] = []
          const condemned: number[] = []
          let calls = 0
          let lastFailedByChance = false
          await isolate([...bad.keys()], {
            run: (items) => {
              // An innocent crash now and then, never twice running: what a row alone survives by its second try.
              const chance = hiccups.includes(calls++) && !lastFailedByChance
              lastFailedByChance = chance
              const fails = chance || items.some((item) => bad[item] === true)
              return fails
                ? Promise.reject(new LabelstreamError('INFERENCE_FAILED', 'no'))
                : Promise.resolve(items.length)
            },
            probe: () => Promise.resolve(),
            done: (items) => done.push(...items),
            condemned: (item) => condemned.push(item),
            retried: () => undefined,
            cancelled: () => false,
          })
          const ascending = (a: number, b: number): number => a - b
          assert.deepEqual(
            condemned.sort(ascending),
            [...bad.keys()].filter((item) => bad[item] === true),
          )
          assert.deepEqual(
            done.sort(ascending),
            [...bad.keys()].filter((item) => bad[item] !== true),
          )
        },
      ),
      { numRuns: 200 },
    )
  })
})
