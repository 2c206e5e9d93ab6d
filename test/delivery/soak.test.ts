import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'
import { deadLetter } from '../../src/formats/dead-letter.ts'
import type { SourceMessage } from '../../src/formats/message.ts'
import type { DeliveryMode } from '../fault/checker.ts'
import { slopeOf } from '../soak/slope.ts'
import { SoakTally } from '../soak/tally.ts'
import { scoreEvent } from '../support/score-event.ts'

test('a slope is found within its interval, nineteen times of twenty', () => {
  const random = seededRandom(7)
  let covered = 0
  const runs = 400
  for (let run = 0; run < runs; run++) {
    let drift = 0
    const points = Array.from({ length: 200 }, (_none, index) => {
      // neighbours are alike, as in memory that is sampled often
      drift = 0.8 * drift + random.normal()
      return { hours: index / 200, value: 300 + 5 * (index / 200) + drift }
    })
    const slope = slopeOf(points)
    if (slope !== undefined && slope.low <= 5 && slope.high >= 5) covered++
  }
  assert.ok(covered > 0.9 * runs, `${covered} of ${runs}`)
  assert.equal(slopeOf([]), undefined)
})

const input = (offset: number): SourceMessage => ({
  topic: 'texts',
  partition: 0,
  offset,
  timestampMs: 0,
  key: null,
  value: Buffer.from('x'),
  headers: offset === 2 ? { expected: 'dead letter' } : { expected: 'score', 'text-number': String(offset) },
})

/** The names of the checks that these outcomes of four inputs break; the third input is poison. */
function broken(outcomes: readonly number[], mode: DeliveryMode = 'exactly-once', digest = 'd'): string[] {
  const tally = new SoakTally(mode, new Map([[0, 4]]), (known, number) =>
    known === 'd' ? { first: number / 10 } : undefined,
  )
  for (let offset = 0; offset < 4; offset++) tally.input(input(offset))
  for (const offset of outcomes) {
    if (offset === 2) {
      tally.deadLetter({
        ...input(2),
        ...deadLetter(input(2), 'input', new LabelstreamError('INPUT_EMPTY_TEXT', '')),
      })
      continue
    }
    const source = { ...scoreEvent.source, partition: 0, offset }
    tally.score({
      ...scoreEvent,
      source,
      model: { ...scoreEvent.model, digest },
      scores: { first: offset / 10 },
    })
  }
  return tally
    .results()
    .filter((check) => check.broken > 0)
    .map(({ name }) => name)
}

test('the tally of a long run finds what is lost, doubled, out of order or of another model', () => {
  const order = 'outcomes of a partition come in the order of its inputs'
  assert.deepEqual(broken([0, 1, 2, 3]), [])
  assert.deepEqual(broken([0, 2, 3]), ['every input has its score or its dead letter'])
  assert.deepEqual(broken([0, 1, 1, 2, 3]), [order, 'a read_committed reader sees each input once'])
  assert.deepEqual(broken([1, 0, 2, 3]), [order])
  assert.deepEqual(broken([0, 1, 2, 3], 'exactly-once', 'other'), [
    'scores are those of the model whose digest the event names',
  ])
  assert.deepEqual(broken([0, 1, 0, 1, 2, 3], 'at-least-once'), [])
  assert.deepEqual(broken([0, 3, 1, 2], 'at-least-once'), [order])
})
