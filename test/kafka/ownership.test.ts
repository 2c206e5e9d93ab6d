import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ownership } from '../../src/kafka/ownership.ts'

const place = { topic: 't', partition: 0 }
const started = (offset: number): Ownership => {
  const ownership = new Ownership(1, [place])
  ownership.startAt(place, offset)
  return ownership
}

test('nothing is taken before the position is known, nor of a partition that is not owned', () => {
  const ownership = new Ownership(1, [place])
  assert.equal(ownership.started, false)
  assert.equal(ownership.take({ ...place, fetchedOffset: 0, nextOffset: 5 }), 'not wanted')
  ownership.startAt(place, 0)
  assert.equal(ownership.started, true)
  assert.equal(ownership.take({ topic: 't', partition: 1, fetchedOffset: 0, nextOffset: 5 }), 'not wanted')
  assert.equal(ownership.take({ ...place, fetchedOffset: 0, nextOffset: 5 }), 'taken')
  assert.equal(ownership.position(place), 5)
})

test('a batch is taken only where the last one ended', () => {
  const ownership = started(10)
  assert.equal(ownership.take({ ...place, fetchedOffset: 12, nextOffset: 20 }), 'misplaced')
  assert.equal(ownership.take({ ...place, fetchedOffset: 8, nextOffset: 20 }), 'misplaced')
  assert.equal(ownership.position(place), 10)
  ownership.lose(place)
  assert.equal(ownership.take({ ...place, fetchedOffset: 10, nextOffset: 20 }), 'not wanted')
})

test('an empty batch past the position is believed when it comes a second time', () => {
  const ownership = started(10)
  assert.equal(ownership.takeEmpty({ ...place, firstOffset: 10, lastOffset: 11 }), 'taken')
  assert.equal(ownership.position(place), 12)
  const afterGap = { ...place, firstOffset: 20, lastOffset: 20 }
  assert.equal(ownership.takeEmpty(afterGap), 'doubtful')
  assert.equal(ownership.position(place), 12)
  assert.equal(ownership.takeEmpty(afterGap), 'taken')
  assert.equal(ownership.position(place), 21)
})

test('after its end an ownership takes nothing', () => {
  const ownership = started(0)
  ownership.state = 'over'
  assert.equal(ownership.take({ ...place, fetchedOffset: 0, nextOffset: 5 }), 'not wanted')
  assert.equal(ownership.takeEmpty({ ...place, firstOffset: 0, lastOffset: 0 }), 'not wanted')
})
