import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { Tokenizer } from 'tokenizers'
import { packageRoot } from '../../src/core/paths.ts'
import { packTexts, unpackTexts } from '../../src/text/packing.ts'
import { checkWindowLimits, cutWindows } from '../../src/text/windows.ts'

const special = { before: [101], after: [102] }
const limits = fc
  .record({
    room: fc.integer({ min: 1, max: 20 }),
    maxWindows: fc.integer({ min: 1, max: 6 }),
    stride: fc.nat(19),
  })
  .map(({ room, maxWindows, stride }) => ({
    maxTokens: room + 2,
    maxWindows,
    strideTokens: Math.min(stride, room - 1),
  }))
const ids = fc
  .integer({ min: 0, max: 120 })
  .map((count) => Array.from({ length: count }, (_, at) => 1_000 + at))

test('windows cover the text from its start without gaps, in order, with the asked overlap', () => {
  fc.assert(
    fc.property(ids, limits, (text, limit) => {
      const { windows, tokens, truncated } = cutWindows(text, limit, special)
      assert.ok(windows.length >= 1 && windows.length <= limit.maxWindows)
      let covered = 0
      for (const [index, window] of windows.entries()) {
        assert.equal(window[0], 101)
        assert.equal(window.at(-1), 102)
        assert.ok(window.length <= limit.maxTokens)
        const start = index === 0 ? 0 : covered - limit.strideTokens
        const inner = [...window.slice(1, -1)]
        assert.deepEqual(inner, text.slice(start, start + inner.length))
        if (index < windows.length - 1)
          assert.equal(window.length, limit.maxTokens, 'only the last is shorter')
        assert.ok(index === 0 || start + inner.length > covered, 'every window brings something new')
        covered = start + inner.length
      }
      assert.equal(tokens, covered)
      assert.equal(truncated, covered < text.length)
      if (truncated) assert.equal(windows.length, limit.maxWindows)
    }),
  )
})

test('a text that fits is one window, one token more makes two, and with one window it is cut off', () => {
  const limit = { maxTokens: 6, maxWindows: 4, strideTokens: 1 }
  assert.deepEqual(cutWindows([1, 2, 3, 4], limit, special).windows, [Int32Array.of(101, 1, 2, 3, 4, 102)])
  assert.deepEqual(cutWindows([1, 2, 3, 4, 5], limit, special).windows, [
    Int32Array.of(101, 1, 2, 3, 4, 102),
    Int32Array.of(101, 4, 5, 102),
  ])
  assert.deepEqual(cutWindows([1, 2, 3, 4, 5], { ...limit, maxWindows: 1 }, special), {
    windows: [Int32Array.of(101, 1, 2, 3, 4, 102)],
    tokens: 4,
    truncated: true,
  })
})

test('windows are those of the reference tokenizer with the same stride', async () => {
  const reference = Tokenizer.fromFile(join(packageRoot, 'models', 'minilm-l6', '1', 'tokenizer.json'))
  reference.disablePadding()
  reference.disableTruncation()
  const text = Array.from({ length: 100 }, (_, at) => `word ${at}`).join(' ')
  for (const [maxTokens, strideTokens] of [
    [16, 4],
    [32, 0],
    [50, 47],
  ] as const) {
    const whole = await reference.encode(text, null, { addSpecialTokens: false })
    const ids = whole.getIds()
    whole.truncate(maxTokens - 2, strideTokens, 'right')
    const expected = [whole, ...whole.getOverflowing()].map((encoding) => [101, ...encoding.getIds(), 102])
    const { windows } = cutWindows(ids, { maxTokens, strideTokens, maxWindows: 1_000 }, special)
    assert.deepEqual(
      windows.map((window) => [...window]),
      expected,
    )
  }
})

test('limits under which windows could not move forward are refused', () => {
  const good = { maxTokens: 16, maxWindows: 4, strideTokens: 13 }
  checkWindowLimits(good, special)
  checkWindowLimits({ ...good, maxWindows: 1, strideTokens: 99 }, special)
  for (const bad of [{ strideTokens: 14 }, { maxTokens: 2 }, { maxWindows: 0 }, { strideTokens: -1 }]) {
    assert.throws(
      () => {
        checkWindowLimits({ ...good, ...bad }, special)
      },
      { code: 'SETTING_INVALID' },
    )
  }
})

test('texts come out of a packed array as they went in', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(ids, limits), { maxLength: 8 }), (texts) => {
      const made = texts.map(([text, limit]) => cutWindows(text, limit, special))
      assert.deepEqual(unpackTexts(packTexts(made)), made)
    }),
  )
})
