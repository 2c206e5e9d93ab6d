import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InFlightMessage, PartitionStream, skipped } from '../../src/stream/partition-stream.ts'
import { ScoreMemory } from '../../src/stream/score-memory.ts'
import { sourceMessage } from '../support/source-message.ts'

const stream = new PartitionStream(1, 'texts', 0, { maxMessages: 10, maxBytes: 1_000 })
/** What the texts are scored by. */
const model = 'digest fp32 64'
const message = (): InFlightMessage => new InFlightMessage(sourceMessage('text'), stream, 0)

function scoredAs(leader: InFlightMessage, logit: number): InFlightMessage {
  leader.logits = Float32Array.of(logit)
  leader.tokens = 5
  leader.windows = 2
  leader.truncated = true
  return leader
}

test('a text that is in flight is followed, and its scores go to all with their counts', () => {
  const memory = new ScoreMemory(10)
  const [leader, first, other] = [message(), message(), message()]
  assert.equal(memory.admit(leader, 'same', model), 'score')
  assert.equal(memory.admit(first, 'same', model), 'follow')
  assert.equal(memory.admit(other, 'different', model), 'score')
  assert.deepEqual(memory.scored(scoredAs(leader, 3)), [first])
  assert.deepEqual(
    [first.logits, first.tokens, first.windows, first.windowsLeft, first.truncated],
    [Float32Array.of(3), 5, 2, 0, true],
  )
  assert.deepEqual(memory.scored(scoredAs(other, 4)), [])
})

test('a text that was scored is known until later ones push it out, the least lately used first', () => {
  const memory = new ScoreMemory(2)
  for (const text of ['a', 'b']) {
    const each = message()
    assert.equal(memory.admit(each, text, model), 'score')
    memory.scored(scoredAs(each, 1))
  }
  const again = message()
  assert.equal(memory.admit(again, 'a', model), 'known')
  assert.deepEqual(again.logits, Float32Array.of(1))
  const third = message()
  assert.equal(memory.admit(third, 'c', model), 'score')
  memory.scored(scoredAs(third, 1))
  assert.equal(memory.size, 2)
  assert.equal(memory.admit(message(), 'a', model), 'known')
  assert.equal(memory.admit(message(), 'b', model), 'score')
})

test('a text that one model scored is to be scored by another, also while the first is at it', () => {
  const memory = new ScoreMemory(10)
  const [known, leader, other] = [message(), message(), message()]
  memory.admit(known, 'known', 'first')
  memory.scored(scoredAs(known, 1))
  assert.equal(memory.admit(message(), 'known', 'second'), 'score')
  assert.equal(memory.admit(leader, 'a', 'first'), 'score')
  assert.equal(memory.admit(other, 'a', 'second'), 'score')
  assert.deepEqual(memory.scored(scoredAs(leader, 1)), [])
  assert.deepEqual(memory.scored(scoredAs(other, 2)), [])
  const [first, second] = [message(), message()]
  assert.equal(memory.admit(first, 'a', 'first'), 'known')
  assert.equal(memory.admit(second, 'a', 'second'), 'known')
  assert.deepEqual([first.logits, second.logits], [Float32Array.of(1), Float32Array.of(2)])
})

test('what is remembered is a copy, not the buffer of the batch', () => {
  const memory = new ScoreMemory(2)
  const leader = message()
  memory.admit(leader, 'a', model)
  const logits = Float32Array.of(1)
  memory.scored(Object.assign(scoredAs(leader, 1), { logits }))
  logits[0] = 9
  const again = message()
  memory.admit(again, 'a', model)
  assert.deepEqual(again.logits, Float32Array.of(1))
})

test('when the one in flight is lost, those that waited come back once, without the ones that are finished', () => {
  const memory = new ScoreMemory(10)
  const [leader, first, finished] = [message(), message(), message()]
  memory.admit(leader, 'a', model)
  memory.admit(first, 'a', model)
  memory.admit(finished, 'a', model)
  finished.outcome = skipped
  assert.deepEqual(memory.lost(leader), [first])
  assert.deepEqual(memory.lost(leader), [])
  assert.equal(memory.admit(first, 'a', model), 'score')
})

test('the end of an epoch forgets who waits, not what is known', () => {
  const memory = new ScoreMemory(10)
  const [known, leader] = [message(), message()]
  memory.admit(known, 'known', model)
  memory.scored(scoredAs(known, 1))
  memory.admit(leader, 'a', model)
  memory.admit(message(), 'a', model)
  memory.dropInFlight()
  assert.deepEqual(memory.scored(scoredAs(leader, 1)), [])
  assert.equal(memory.admit(message(), 'a', model), 'score')
  assert.equal(memory.admit(message(), 'known', model), 'known')
})

test('no entries: every text is scored by itself', () => {
  const memory = new ScoreMemory(0)
  assert.equal(memory.admit(message(), 'a', model), 'score')
  assert.equal(memory.admit(message(), 'a', model), 'score')
})
