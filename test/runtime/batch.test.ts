import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { packWindows, padWindows, tilesOf } from '../../src/runtime/batch.ts'

const window = fc
  .array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 40 })
  .map((ids) => Int32Array.from(ids))

test('every window stands at the start of its row and the mask says where it ends', () => {
  fc.assert(
    fc.property(fc.array(window, { minLength: 1, maxLength: 12 }), (windows) => {
      const { rows, columns, inputIds, attentionMask } = padWindows(packWindows(windows))
      assert.equal(rows, windows.length)
      assert.equal(columns, Math.max(...windows.map(({ length }) => length)))
      for (const [row, ids] of windows.entries()) {
        const padding = new Array<number>(columns - ids.length).fill(0)
        const from = row * columns
        assert.deepEqual([...inputIds.slice(from, from + columns)], [...ids, ...padding])
        assert.deepEqual([...attentionMask.slice(from, from + columns)], [...ids.fill(1), ...padding])
      }
    }),
  )
})

test('windows that are views of one array are packed alone', () => {
  const shared = Int32Array.of(1, 2, 3, 4, 5)
  const { ids, lengths } = packWindows([shared.subarray(1, 3), shared.subarray(4)])
  assert.deepEqual([...ids], [2, 3, 5])
  assert.deepEqual([...lengths], [2, 1])
})

test('tiles hold the windows in their order, and no more padded tokens than they may unless a window is longer', () => {
  fc.assert(
    fc.property(
      fc.array(window, { maxLength: 12 }),
      fc.integer({ min: 1, max: 100 }),
      (windows, mostTokens) => {
        const tiles = tilesOf(packWindows(windows), mostTokens)
        assert.deepEqual(
          tiles.flatMap(({ ids }) => [...ids]),
          windows.flatMap((ids) => [...ids]),
        )
        assert.deepEqual(
          tiles.flatMap(({ lengths }) => [...lengths]),
          windows.map(({ length }) => length),
        )
        for (const { ids, lengths } of tiles) {
          assert.equal(
            ids.length,
            lengths.reduce((sum, length) => sum + length, 0),
          )
          assert.ok(lengths.length === 1 || lengths.length * Math.max(...lengths) <= mostTokens)
        }
        tiles.slice(1).forEach(({ lengths }, at) => {
          const before = tiles[at]?.lengths ?? []
          const joined = Math.max(...before, lengths[0] ?? 0) * (before.length + 1)
          assert.ok(joined > mostTokens, 'a tile is as large as it may be')
        })
      },
    ),
  )
})
