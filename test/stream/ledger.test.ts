import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { PartitionLedger } from '../../src/stream/ledger.ts'

function ledgerOf(...offsets: readonly number[]): PartitionLedger {
  const ledger = new PartitionLedger()
  for (const offset of offsets) assert.ok(ledger.enter(offset))
  return ledger
}

describe('PartitionLedger', () => {
  test('has nothing to commit before anything is finished', () => {
    assert.equal(ledgerOf(5, 6).committable(), undefined)
  })

  test('commits one past the longest gap-free run of finished offsets', () => {
    const ledger = ledgerOf(5, 6, 7)
    ledger.finish(6)
    assert.equal(ledger.committable(), undefined)
    ledger.finish(5)
    assert.equal(ledger.committable(), 7)
    ledger.finish(7)
    assert.equal(ledger.committable(), 8)
    assert.equal(ledger.open, 0)
  })

  test('moves over offsets that hold no message', () => {
    const ledger = ledgerOf(5, 9)
    ledger.finish(5)
    assert.equal(ledger.committable(), 9)
    ledger.advance(14)
    assert.equal(ledger.committable(), 9)
    ledger.finish(9)
    assert.equal(ledger.committable(), 14)
    ledger.advance(20)
    assert.equal(ledger.committable(), 20)
  })

  test('moves over a partition that holds control records only', () => {
    const ledger = new PartitionLedger()
    ledger.advance(3)
    assert.equal(ledger.committable(), 3)
  })

  test('refuses a record that was entered before', () => {
    const ledger = ledgerOf(5, 6)
    ledger.finish(5)
    assert.equal(ledger.enter(5), false)
    assert.equal(ledger.enter(6), false)
    assert.equal(ledger.open, 1)
  })

  test('ignores unknown offsets and offsets finished twice', () => {
    const ledger = ledgerOf(5, 6)
    ledger.finish(4)
    ledger.finish(6)
    ledger.finish(6)
    assert.equal(ledger.committable(), undefined)
    ledger.finish(5)
    ledger.finish(5)
    assert.equal(ledger.committable(), 7)
  })
})
