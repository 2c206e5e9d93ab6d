import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Sequencer, type Sequenced } from '../../src/stream/sequencer.ts'

const limits = { maxMessages: 3, maxBytes: 100 }

function filled(count: number): { sequencer: Sequencer<Sequenced>; items: Sequenced[] } {
  const sequencer = new Sequencer<Sequenced>(limits)
  const items = Array.from({ length: count }, (_, offset): Sequenced => ({ offset, outcome: undefined }))
  for (const item of items) sequencer.push(item)
  return { sequencer, items }
}

function finish(items: readonly Sequenced[], sizeBytes: number, ...offsets: readonly number[]): void {
  for (const item of items) if (offsets.includes(item.offset)) item.outcome = { kind: 'score', sizeBytes }
}

const offsetsOf = (run: readonly Sequenced[]): number[] => run.map((item) => item.offset)

describe('Sequencer', () => {
  test('holds back what is finished before the oldest', () => {
    const { sequencer, items } = filled(3)
    finish(items, 1, 1, 2)
    assert.deepEqual(sequencer.take(), [])
    finish(items, 1, 0)
    assert.deepEqual(offsetsOf(sequencer.take()), [0, 1, 2])
  })

  test('has one run out at a time', () => {
    const { sequencer, items } = filled(3)
    finish(items, 1, 0)
    assert.deepEqual(offsetsOf(sequencer.take()), [0])
    finish(items, 1, 1, 2)
    assert.deepEqual(sequencer.take(), [])
    sequencer.acknowledge()
    assert.deepEqual(offsetsOf(sequencer.take()), [1, 2])
    sequencer.acknowledge()
    assert.equal(sequencer.size, 0)
  })

  test('bounds a run by count', () => {
    const { sequencer, items } = filled(5)
    finish(items, 1, 0, 1, 2, 3, 4)
    assert.deepEqual(offsetsOf(sequencer.take()), [0, 1, 2])
  })

  test('bounds a run by bytes, but lets one large message go alone', () => {
    const { sequencer, items } = filled(3)
    finish(items, 60, 0, 1)
    finish(items, 1_000, 2)
    assert.deepEqual(offsetsOf(sequencer.take()), [0])
    sequencer.acknowledge()
    assert.deepEqual(offsetsOf(sequencer.take()), [1])
    sequencer.acknowledge()
    assert.deepEqual(offsetsOf(sequencer.take()), [2])
  })
})
