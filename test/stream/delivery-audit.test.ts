import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { OutcomeKind } from '../../src/stream/audited-offsets.ts'
import { type AuditPlan, DeliveryAudit, type DeliveryFindings } from '../../src/stream/delivery-audit.ts'

const topic = 'texts'
const cleared = { beginnings: new Map([[0, 0]]), compacted: false }

/** Inputs 0..9 of one partition, written at 1000, 1001, ..., all committed; one partition of each kind of outcome. */
class Books {
  readonly audit: DeliveryAudit

  constructor(change: Partial<AuditPlan> = {}, inputs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    const ranges = [{ partition: 0, beginning: 0, from: 0, to: 10 }]
    this.audit = new DeliveryAudit({
      ...{ topic, ranges, scores: cleared, deadLetters: cleared, examples: 3 },
      ...change,
    })
    for (const offset of inputs) this.input(offset)
  }

  input(offset: number, value: Buffer | null = Buffer.of(1)): void {
    this.audit.input({ topic, partition: 0, offset, timestampMs: 1_000 + offset, value })
  }

  /** Records of a topic of outcomes in order, by the offsets that they name; written at `atMs`. */
  told(kind: OutcomeKind, offsets: readonly number[], atMs = 2_000): this {
    for (const offset of offsets) {
      this.audit.record(kind, { partition: 0, timestampMs: atMs })
      const timestamp = kind === 'score' ? { timestampMs: 1_000 + offset } : {}
      this.audit.outcome(kind, 0, { topic, partition: 0, offset, ...timestamp })
    }
    return this
  }

  counts(): Partial<DeliveryFindings> {
    const counts = Object.entries(this.audit.findings())
    return Object.fromEntries(counts.filter(([, count]) => typeof count === 'number' && count > 0))
  }
}

const upTo = (end: number): number[] => Array.from({ length: end }, (_, offset) => offset)

describe('the books of an audit', () => {
  test('every input with one outcome: nothing but sums', () => {
    const books = new Books()
    books.told('score', [0, 1, 2, 3, 5, 6, 7, 9]).told('deadLetter', [4, 8])
    assert.deepEqual(books.counts(), { inputs: 10, scored: 8, deadLettered: 2 })
  })

  test('inputs with neither outcome are missing, and the first of them are named', () => {
    const books = new Books().told('score', [0, 2, 3, 4])
    const { missing, missingAtStart, examples, partitions } = books.audit.findings()
    assert.deepEqual([missing, missingAtStart], [6, 0])
    assert.deepEqual(
      examples.missing,
      [1, 5, 6].map((offset) => ({ topic, partition: 0, offset })),
    )
    assert.equal(partitions[0]?.missing, 6)
  })

  test('what is missing before the first outcome of its partition is told apart: a group may have begun there', () => {
    assert.deepEqual(new Books().told('score', [4, 5, 6, 7, 9]).counts(), {
      inputs: 10,
      scored: 5,
      missing: 5,
      missingAtStart: 4,
    })
  })

  test('tombstones and offsets without a record are no inputs', () => {
    const books = new Books({}, [0, 1, 5])
    books.input(2, null)
    assert.deepEqual(books.told('score', [0, 1, 5]).counts(), { inputs: 3, scored: 3, skipped: 1 })
    books.told('score', [2])
    assert.equal(books.counts().sourceGone, 1, 'a score of a tombstone has no text it could be of')
  })

  test('a stretch that is done again doubles its inputs, and is not out of order', () => {
    const books = new Books().told('score', [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8, 9])
    assert.deepEqual(books.counts(), { inputs: 10, scored: 10, duplicated: 3 })
  })

  test('a score and a dead letter of one input are two outcomes', () => {
    const books = new Books().told('score', upTo(10)).told('deadLetter', [4])
    assert.deepEqual(books.counts(), { inputs: 10, scored: 10, duplicated: 1 })
  })

  test('a first outcome behind that of a later input is out of order', () => {
    const books = new Books().told('score', [0, 1, 2, 5, 3, 4, 6, 7, 8, 9])
    assert.equal(books.counts().outOfOrder, 2)
    assert.deepEqual(
      books.audit.findings().examples.outOfOrder.map(({ offset }) => offset),
      [3, 4],
    )
  })

  test('outcomes above the committed offset, of other topics and before the range are counted apart', () => {
    const ranges = [{ partition: 0, beginning: 0, from: 5, to: 10 }]
    const books = new Books({ ranges }, [5, 6, 7, 8, 9]).told('score', upTo(12))
    books.audit.outcome('score', 0, { topic: 'other', partition: 0, offset: 3 })
    assert.deepEqual(books.counts(), { inputs: 5, scored: 5, ahead: 2, outside: 5, otherTopics: 1 })
  })

  test('an outcome whose input retention or compaction removed has lost its source; that is all', () => {
    const ranges = [{ partition: 0, beginning: 3, from: 3, to: 10 }]
    const books = new Books({ ranges }, [3, 4, 6, 7, 8, 9]).told('score', upTo(10))
    assert.deepEqual(books.counts(), { inputs: 6, scored: 6, sourceGone: 4 })
    books.audit.outcome('score', 0, { topic, partition: 7, offset: 0 })
    assert.equal(books.audit.findings().sourceGone, 5)
  })

  test('an event of an earlier topic of that name is of another message: the timestamps tell', () => {
    const books = new Books()
    const isInput = books.audit.outcome('score', 0, { topic, partition: 0, offset: 0, timestampMs: 5 })
    assert.equal(isInput, false)
    assert.deepEqual(books.told('score', upTo(10)).counts(), { inputs: 10, scored: 10, sourceGone: 1 })
  })
})

describe('where outcomes were removed', () => {
  const cut = { beginnings: new Map([[0, 400]]), compacted: false }

  test('what came before all that is left is unknown, what came after it is missing', () => {
    const books = new Books({ scores: cut }).told('score', [4, 5, 7, 8, 9], 1_005)
    assert.deepEqual(books.counts(), { inputs: 10, scored: 5, eventsGone: 4, missing: 1 })
  })

  test('an input that is younger than the oldest record left must still have its outcome', () => {
    const books = new Books({ scores: cut }).told('score', [8, 9], 1_004)
    assert.deepEqual(books.counts(), {
      ...{ inputs: 10, scored: 2, eventsGone: 5, missing: 3, missingAtStart: 3 },
    })
  })

  test('a topic of dead letters that was cut leaves the same doubt', () => {
    const books = new Books({ deadLetters: cut }).told('score', [0, 1, 3, 4, 6, 7, 8, 9])
    assert.deepEqual(books.told('deadLetter', [5]).counts(), {
      ...{ inputs: 10, scored: 8, deadLettered: 1, eventsGone: 1 },
    })
  })

  test('everything was removed: everything is unknown; also when that happened meanwhile', () => {
    assert.deepEqual(new Books({ scores: cut }).counts(), { inputs: 10, eventsGone: 10 })
    const books = new Books()
    books.audit.beginnings('score', new Map([[0, 12]]))
    assert.deepEqual(books.counts(), { inputs: 10, eventsGone: 10 })
  })

  test('another partition that was cut is no excuse, but where events of this one lie', () => {
    const twoPartitions = (cutPartition: number) => ({
      beginnings: new Map([
        [0, cutPartition === 0 ? 9 : 0],
        [1, cutPartition === 1 ? 9 : 0],
      ]),
      compacted: false,
    })
    assert.equal(new Books({ scores: twoPartitions(1) }).told('score', [9]).counts().missing, 9)
    const moved = new Books({ scores: twoPartitions(1) })
    moved.audit.record('score', { partition: 1, timestampMs: 1_020 })
    moved.audit.outcome('score', 1, { topic, partition: 0, offset: 8 })
    assert.deepEqual(moved.told('score', [9]).counts(), { inputs: 10, scored: 2, eventsGone: 8 })
  })

  test('a compacted topic keeps the latest of a key: nothing is known to be missing', () => {
    const scores = { beginnings: new Map([[0, 0]]), compacted: true }
    assert.deepEqual(new Books({ scores }).told('score', [2, 9]).counts(), {
      ...{ inputs: 10, scored: 2, eventsGone: 8 },
    })
  })

  test('a stretch that is done again, of whose first time only the end is left, is in order', () => {
    const books = new Books({ scores: cut }).told('score', [5, 6, 3, 4, 5, 6, 7, 8, 9], 1_009)
    assert.deepEqual(books.counts(), { inputs: 10, scored: 7, duplicated: 2, eventsGone: 3 })
  })
})
