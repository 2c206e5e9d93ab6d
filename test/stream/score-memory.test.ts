import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InFlightMessage, PartitionStream, skipped } from '../../src/stream/partition-stream.ts'
import { ScoreMemory } from '../../src/stream/score-memory.ts'
import { sourceMessage } from '../support/source-message.ts'

const stream = new PartitionStream(1, 'texts', 0, { maxMessages: 10, maxBytes: 1_000 })
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
  assert.equal(memory.admit(leader, 'same'), 'score')
  assert.equal(memory.admit(first, 'same'), 'follow')
  assert.equal(memory.admit(other, 'different'), 'score')
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
    assert.equal(memory.admit(each, text), 'score')
    memory.scored(scoredAs(each, 1))
  }
  const again = message()
  assert.equal(memory.admit(again, 'a'), 'known')
  assert.deepEqual(again.logits, Float32Array.of(1))
  const third = message()
  assert.equal(memory.admit(third, 'c'), 'score')
  memory.scored(scoredAs(third, 1))
  assert.equal(memory.size, 2)
  assert.equal(memory.admit(message(), 'a'), 'known')
  assert.equal(memory.admit(message(), 'b'), 'score')
})

test('what is remembered is a copy, not the buffer of the batch', () => {
  const memory = new ScoreMemory(2)
  const leader = message()
  memory.admit(leader, 'a')
  const logits = Float32Array.of(1)
  memory.scored(Object.assign(scoredAs(leader, 1), { logits }))
  logits[0] = 9
  const again = message()
  memory.admit(again, 'a')
  assert.deepEqual(again.logits, Float32Array.of(1))
})

test('when the one in flight is lost, those that waited come back once, without the ones that are finished', () => {
  const memory = new ScoreMemory(10)
  const [leader, first, finished] = [message(), message(), message()]
  memory.admit(leader, 'a')
  memory.admit(first, 'a')
  memory.admit(finished, 'a')
  finished.outcome = skipped
  assert.deepEqual(memory.lost(leader), [first])
  assert.deepEqual(memory.lost(leader), [])
  assert.equal(memory.admit(first, 'a'), 'score')
})

test('the end of an epoch forgets who waits, not what is known', () => {
  const memory = new ScoreMemory(10)
  const [known, leader] = [message(), message()]
  memory.admit(known, 'known')
  memory.scored(scoredAs(known, 1))
  memory.admit(leader, 'a')
  memory.admit(message(), 'a')
  memory.dropInFlight()
  assert.deepEqual(memory.scored(scoredAs(leader, 1)), [])
  assert.equal(memory.admit(message(), 'a'), 'score')
  assert.equal(memory.admit(message(), 'known'), 'known')
})

test('no entries: every text is scored by itself', () => {
  const memory = new ScoreMemory(0)
  assert.equal(memory.admit(message(), 'a'), 'score')
  assert.equal(memory.admit(message(), 'a'), 'score')
})
