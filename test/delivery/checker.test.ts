import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { deadLetter } from '../../src/formats/dead-letter.ts'
import type { SourceMessage } from '../../src/formats/message.ts'
import type { LabelScores } from '../../src/formats/scores.ts'
import { boundOf, checkMoment, checkRun, type Evidence } from '../fault/checker.ts'

const input = (offset: number): SourceMessage => ({
  topic: 'texts',
  partition: 0,
  offset,
  timestampMs: 0,
  key: Buffer.from('key'),
  value: Buffer.from(offset === 2 ? 'poison' : `text ${offset}`),
  headers: { kept: 'yes' },
})
const inputs = [0, 1, 2, 3].map(input)

const score = (offset: number, first = offset / 10, digest = 'd'): Evidence['scores'][number] => ({
  message: { ...input(offset), headers: { 'labelstream-model': 'm@1' } },
  event: {
    eventId: `texts/0/${offset}`,
    source: { topic: 'texts', partition: 0, offset, timestamp: 0 },
    model: { name: 'm', version: '1', digest, precision: 'fp32' },
    scores: { first, second: 0.9 },
    labels: ['second'],
  } as unknown as LabelScores,
})
const letter = (offset: number): SourceMessage => ({
  ...input(offset),
  ...deadLetter(input(offset), 'input', new LabelstreamError('INPUT_EMPTY_TEXT', 'empty')),
})

const right: Evidence = {
  mode: 'exactly-once',
  lateRequests: false,
  inputs,
  expectation: ({ offset }) => (offset === 2 ? 'dead letter' : 'score'),
  scores: [score(0), score(1), score(3)],
  deadLetters: [letter(2)],
  committed: new Map([[0, 4]]),
  commits: [
    { partition: 0, offset: 2 },
    { partition: 0, offset: 4 },
  ],
  ends: new Map([[0, 4]]),
  reference: ({ offset }, digest) =>
    digest === 'd'
      ? { version: '1', scores: { first: offset / 10, second: 0.9 }, labels: ['second'] }
      : undefined,
}

const broken = (change: Partial<Evidence>): string[] =>
  checkRun({ ...right, ...change })
    .filter((check) => check.broken > 0)
    .map(({ name }) => name)

const lost = 'every input has its score or its dead letter'
const ahead = 'committed offsets are not ahead of the output'
const once = 'a read_committed reader sees each input once'
const order = 'outcomes of a partition come in the order of its inputs'
const kind = 'texts are scored and only poison is dead-lettered'
const model = 'scores, decision and version are those of the model whose digest the event names'
const back = 'committed offsets never go back'

test('a run as it should be breaks nothing', () => {
  assert.deepEqual(broken({}), [])
})

test('every broken promise is found, each by its own check', () => {
  assert.deepEqual(broken({ scores: [score(0), score(3)] }), [lost, ahead])
  assert.deepEqual(broken({ scores: [score(0), score(3)], committed: new Map([[0, 1]]) }), [
    lost,
    'everything is committed in the end',
  ])
  assert.deepEqual(broken({ scores: [score(0), score(1), score(1), score(3)] }), [once, order])
  assert.deepEqual(broken({ scores: [score(1), score(0), score(3)] }), [order])
  assert.deepEqual(broken({ scores: [score(0), score(3)], deadLetters: [letter(1), letter(2)] }), [kind])
  assert.deepEqual(broken({ scores: [score(0), score(1), score(3, 0.9)] }), [model])
  assert.deepEqual(broken({ scores: [score(0), score(1), score(3, 0.3, 'other')] }), [model])
  const changed = { ...letter(2), value: Buffer.from('Poison') }
  assert.deepEqual(broken({ deadLetters: [changed] }), ['dead letters are byte for byte their inputs'])
  assert.deepEqual(broken({ commits: [...right.commits, ...right.commits] }), [back])
  assert.deepEqual(broken({ scores: [...right.scores, score(9)] }), ['every outcome belongs to an input'])
})

test('an event is of one model in all that it says: scores, their labels, decision, version and header', () => {
  const { message, event } = score(3)
  const of = (change: Partial<LabelScores>, headers = message.headers): string[] =>
    broken({
      scores: [score(0), score(1), { message: { ...message, headers }, event: { ...event, ...change } }],
    })
  assert.deepEqual(of({}), [])
  assert.deepEqual(of({ labels: [] }), [model])
  assert.deepEqual(of({ labels: ['first', 'second'] }), [model])
  assert.deepEqual(of({ scores: { ...event.scores, third: 0.1 } }), [model])
  assert.deepEqual(of({ scores: { first: 0.3 } }), [model])
  assert.deepEqual(of({ model: { ...event.model, version: '2' } }), [model])
  assert.deepEqual(of({}, { 'labelstream-model': 'm@2' }), [model])
})

test('at least once, repetitions are allowed and the first occurrences still come in order', () => {
  const mode = 'at-least-once'
  assert.deepEqual(broken({ mode, scores: [score(0), score(1), score(0), score(1), score(3)] }), [])
  assert.deepEqual(broken({ mode, scores: [score(0), score(3), score(1)] }), [order])
})

test('commits go back only at least once, and only where requests come late', () => {
  const commits = [...right.commits, ...right.commits]
  assert.deepEqual(broken({ commits, mode: 'at-least-once', lateRequests: true }), [])
  assert.deepEqual(broken({ commits, mode: 'at-least-once' }), [back])
  assert.deepEqual(broken({ commits, lateRequests: true }), [back])
})

test('a moment is looked at with the offsets committed by then', () => {
  const early: Evidence = { ...right, scores: [score(0)], deadLetters: [], committed: new Map([[0, 1]]) }
  assert.equal(checkMoment(early).broken, 0)
  assert.equal(checkMoment({ ...early, committed: new Map([[0, 2]]) }).broken, 1)
})

test('nothing broken in N says how seldom it can be', () => {
  assert.match(boundOf({ name: 'x', looked: 1_000, broken: 0, examples: [] }), /^0 of 1000, below 0\.0030 /)
  assert.equal(boundOf({ name: 'x', looked: 10, broken: 2, examples: [] }), '2 broken')
})
