import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { KafkaMessage } from 'kafkajs'
import { hiddenRecords } from '../../src/kafka/aborted.ts'

interface Step {
  readonly producer: number
  readonly what: 'record' | 'commit' | 'abort' | 'plain'
}

const marker = { commit: Buffer.from([0, 0, 0, 1]), abort: Buffer.from([0, 0, 0, 0]) }

/** A log in which each producer's records belong to its next marker; unended transactions are cut off. */
function logOf(steps: readonly Step[]) {
  const open = new Map<number, number[]>()
  const records: KafkaMessage[] = []
  const visible = new Set<number>()
  const aborted: { producerId: string; firstOffset: string; markerOffset: number }[] = []
  for (const { producer, what } of steps) {
    const offset = records.length
    const own = open.get(producer) ?? []
    const isMarker = what === 'commit' || what === 'abort'
    if (isMarker && own.length === 0) continue
    records.push({
      offset: String(offset),
      key: isMarker ? marker[what] : Buffer.from([0, 0, 0, 0]),
      value: null,
      timestamp: '0',
      attributes: 0,
      headers: {},
      isControlRecord: isMarker,
      batchContext: { producerId: String(producer), inTransaction: what !== 'plain' },
    } as unknown as KafkaMessage)
    if (what === 'plain') visible.add(offset)
    else if (what === 'record') open.set(producer, [...own, offset])
    else {
      open.delete(producer)
      if (what === 'commit') own.forEach((one) => visible.add(one))
      else aborted.push({ producerId: String(producer), firstOffset: String(own[0]), markerOffset: offset })
    }
  }
  // a read_committed reader is served up to the first transaction that is still open
  const end = Math.min(records.length, ...[...open.values()].map((own) => own[0] ?? records.length))
  return { records: records.slice(0, end), visible, aborted }
}

test('exactly the records of committed transactions and plain ones are seen, wherever a fetch begins', () => {
  const step = fc.record({
    producer: fc.integer({ min: 1, max: 4 }),
    what: fc.constantFrom<Step['what'][]>('record', 'record', 'commit', 'abort', 'plain'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(40), fc.nat(), (steps, from, shuffle) => {
      const { records, visible, aborted } = logOf(steps)
      const fetched = records.slice(from)
      // the broker sends the aborted transactions that reach into the fetch, in no order that matters
      const sent = aborted
        .filter(({ markerOffset }) => markerOffset >= from)
        .sort(
          (a, b) => ((Number(a.firstOffset) * 7 + shuffle) % 5) - ((Number(b.firstOffset) * 7 + shuffle) % 5),
        )
      const hidden = hiddenRecords(fetched, sent)
      assert.deepEqual(
        fetched.filter((_record, index) => hidden[index] === false).map(({ offset }) => Number(offset)),
        fetched.map(({ offset }) => Number(offset)).filter((offset) => visible.has(offset)),
      )
    }),
    { numRuns: 300 },
  )
})
