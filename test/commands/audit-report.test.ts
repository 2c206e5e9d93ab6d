import assert from 'node:assert/strict'
import { test } from 'node:test'
import { auditReport, auditTable, faultsOf } from '../../src/commands/audit-report.ts'
import type { DeliveryFindings } from '../../src/stream/delivery-audit.ts'
import type { RescoringFindings } from '../../src/stream/rescorer.ts'

const place = (offset: number) => ({ topic: 'texts', partition: 0, offset })
const sums = {
  ...{ inputs: 10, scored: 9, deadLettered: 1, missing: 0, duplicated: 0, outOfOrder: 0 },
  ...{ sourceGone: 0, eventsGone: 0, skipped: 0 },
}
const noExamples = { missing: [], duplicated: [], outOfOrder: [], sourceGone: [] }
const counted: DeliveryFindings = {
  ...{ ...sums, missingAtStart: 0, ahead: 0, outside: 0, otherTopics: 0, examples: noExamples },
  partitions: [{ partition: 0, from: 0, to: 10, ...sums }],
}
const rescoring: RescoringFindings = {
  ...{ rescored: 9, differing: 0, largestDifference: 3e-8, modelMissing: 0, models: [], examples: [] },
}

function reported(
  changes: Partial<DeliveryFindings> = {},
  delivery: 'at-least-once' | 'exactly-once' = 'at-least-once',
  scores: Partial<RescoringFindings> = {},
) {
  return auditReport({
    ...{ group: 'g', delivery, foreign: 0 },
    counted: { ...counted, ...changes },
    rescoring: { ...rescoring, ...scores },
  })
}

test('a report without faults holds', () => {
  const report = reported({ sourceGone: 3, eventsGone: 2, ahead: 4 })
  assert.equal(report.holds, true)
  assert.match(auditTable(report), /^all +10 +9 +1 +0 +2 +0 +0 +3 +0$/m)
  assert.match(auditTable(report), /^4 outcomes of inputs that are not committed yet$/m)
})

test('each kind of fault is a clause with its count and its first places', () => {
  const missing = [1, 2, 3, 4].map(place)
  const report = reported({
    missing: 4,
    outOfOrder: 1,
    examples: { ...noExamples, missing, outOfOrder: [place(9)] },
  })
  assert.equal(report.holds, false)
  assert.deepEqual(faultsOf(report), [
    '4 below the committed offset with neither score nor dead letter (texts/0/1, texts/0/2, texts/0/3, …)',
    '1 out of order (texts/0/9)',
  ])
})

test('what is missing before all outcomes may be from before the group began: the fault says how to tell', () => {
  const examples = { ...noExamples, missing: [place(0)] }
  assert.match(faultsOf(reported({ missing: 1, missingAtStart: 1, examples }))[0] ?? '', /--since/)
  assert.doesNotMatch(faultsOf(reported({ missing: 1, examples }))[0] ?? '', /--since/)
})

test('repetitions are a fault under exactly-once alone', () => {
  const examples = { ...noExamples, duplicated: [place(3)] }
  assert.deepEqual(faultsOf(reported({ duplicated: 1, examples })), [])
  assert.deepEqual(faultsOf(reported({ duplicated: 1, examples }, 'exactly-once')), [
    '1 with more than one outcome under exactly-once (texts/0/3)',
  ])
})

test('scores that differ are a fault, a model that is not here is said and is none', () => {
  const differing = [{ ...place(7), difference: 0.2, contradiction: 'labels' as const }]
  assert.deepEqual(faultsOf(reported({}, 'at-least-once', { differing: 1, examples: differing })), [
    '1 scored differently by their own model (labels) (texts/0/7)',
  ])
  const models = [{ name: 'a', version: '1', precision: 'fp32', events: 5, why: 'there is no model a' }]
  const report = reported({}, 'at-least-once', { modelMissing: 5, models })
  assert.equal(report.holds, true)
  assert.match(
    auditTable(report),
    /^5 events of a@1 in fp32 could not be scored again: there is no model a$/m,
  )
})
