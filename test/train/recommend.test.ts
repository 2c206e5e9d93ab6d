import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Choice, recommend } from '../../src/train/recommend.ts'

const choice = (name: string, macroF1: number, trainSeconds: number, scoreTextsPerSecond = 100): Choice => ({
  name,
  macroF1,
  trainSeconds,
  scoreTextsPerSecond,
})

test('the best is recommended when the others are significantly worse', () => {
  const { name, why } = recommend([choice('cheap', 0.4, 10), choice('good', 0.6, 900)], () => true)
  assert.equal(name, 'good')
  assert.match(why, /0\.600, significantly above the next, cheap with 0\.400/)
})

test('what is clearly lower is not taken for as good because the rows are too few to tell', () => {
  const { name, why } = recommend([choice('cheap', 0.57, 10), choice('good', 0.6, 900)], () => false)
  assert.equal(name, 'good')
  assert.match(why, /0\.600, above the next, cheap with 0\.570, which on these rows may be chance\./)
})

test('what is near and significantly worse is not as good', () => {
  assert.equal(recommend([choice('cheap', 0.595, 10), choice('good', 0.6, 900)], () => true).name, 'good')
})

test('of equals, the one that trains faster is recommended', () => {
  const { name, why } = recommend([choice('cheap', 0.595, 10), choice('good', 0.6, 900)], () => false)
  assert.equal(name, 'cheap')
  assert.match(why, /0\.595 against 0\.600\) and trains in 10 s instead of 900 s/)
})

test('of equals, one that scores much slower is not recommended, however fast it trains', () => {
  const slow = choice('slow', 0.6, 5, 20)
  const { name, why } = recommend(
    [slow, choice('fast', 0.595, 50), choice('bad', 0.1, 1)],
    (_best, other) => other === 'bad',
  )
  assert.equal(name, 'fast')
  assert.match(why, /scores 100 texts\/s instead of 20/)
})

test('the best that is also the cheapest of equals is recommended for both', () => {
  const { name, why } = recommend([choice('a', 0.6, 5), choice('b', 0.595, 50)], () => false)
  assert.equal(name, 'a')
  assert.match(why, /highest macro-F1, 0\.600, and costs less than b/)
})

test('a single strategy is recommended as the only one', () => {
  assert.match(recommend([choice('a', 0.6, 5)], () => true).why, /only strategy/)
})
