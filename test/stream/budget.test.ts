import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ByteBudget } from '../../src/stream/budget.ts'

describe('ByteBudget', () => {
  test('says pause once at the high watermark and resume once at the low one', () => {
    const budget = new ByteBudget(100, 40)
    assert.equal(budget.add(60), false)
    assert.equal(budget.add(60), true)
    assert.equal(budget.add(60), false)
    assert.equal(budget.release(100), false)
    assert.equal(budget.release(40), true)
    assert.equal(budget.release(40), false)
    assert.equal(budget.inFlightBytes, 0)
  })

  test('is paused exactly between the two', () => {
    const budget = new ByteBudget(100)
    budget.add(100)
    assert.equal(budget.paused, true)
    budget.release(49)
    assert.equal(budget.paused, true)
    budget.release(1)
    assert.equal(budget.paused, false)
  })
})
