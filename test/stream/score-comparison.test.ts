import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainDecision } from '../../src/models/decision.ts'
import { compareScores, type Rescored, scoreBound } from '../../src/stream/score-comparison.ts'
import { scoreEvent } from '../support/score-event.ts'

const decision = plainDecision(['cooking_advice', 'not_advice'], 0.4)

function compared(change: Partial<typeof scoreEvent> = {}, again: Partial<Rescored> = {}, bound = 1e-4) {
  const { id, tokens, windows, truncated } = scoreEvent
  const scores = Float32Array.of(0.5, 0.25)
  return compareScores(
    { ...scoreEvent, ...change },
    { id, tokens, windows, truncated, scores, ...again },
    decision,
    bound,
  )
}

const withScores = (cooking: number, not: number) => ({ scores: Float32Array.of(cooking, not) })

test('the same scores and labels agree, and so do scores within the bound', () => {
  assert.deepEqual(compared(), { difference: 0, contradiction: undefined })
  const { difference, contradiction } = compared({}, withScores(0.50008, 0.25))
  assert.equal(contradiction, undefined)
  assert.ok(difference > 7e-5 && difference < 9e-5)
})

test('a score beyond the bound contradicts, also one that is no number or not there', () => {
  assert.equal(compared({}, withScores(0.5, 0.2502)).contradiction, 'scores')
  assert.deepEqual(compared({ scores: { cooking_advice: NaN, not_advice: 0.25 } }), {
    ...{ difference: 1, contradiction: 'scores' },
  })
  assert.equal(compared({ scores: { cooking_advice: 0.5 } }).contradiction, 'label names')
  const more = { ...scoreEvent.scores, another: 0.1 }
  assert.equal(compared({ scores: more }).contradiction, 'label names')
})

test('labels must be those that the scores decide, unless a score is within the bound of its threshold', () => {
  assert.equal(compared({ labels: [] }).contradiction, 'labels')
  assert.equal(compared({ labels: ['cooking_advice', 'not_advice'] }).contradiction, 'labels')
  assert.equal(compared({ labels: ['cooking_advice', 'unheard_of'] }).contradiction, 'labels')
  const near = { scores: { cooking_advice: 0.40004, not_advice: 0.25 } }
  assert.equal(compared({ ...near, labels: [] }, withScores(0.40004, 0.25)).contradiction, undefined)
  assert.equal(compared({ ...near, labels: [] }, withScores(0.40004, 0.25), 1e-5).contradiction, 'labels')
})

test('an event of another text, another place or cut into other windows contradicts', () => {
  assert.equal(compared({ id: 'another' }).contradiction, 'id')
  assert.equal(compared({ eventId: 'texts/0/2' }).contradiction, 'id')
  assert.equal(compared({}, { tokens: 8 }).contradiction, 'windows')
  assert.equal(compared({}, { truncated: true }).contradiction, 'windows')
})

test('bounds are those of the promise, and an unknown precision has none', () => {
  assert.equal(scoreBound('fp32', false), 1e-4)
  assert.equal(scoreBound('int8', true), 1e-3)
  assert.ok((scoreBound('int8', false) ?? 0) > 0.19)
  assert.equal(scoreBound('int4', true), undefined)
})
