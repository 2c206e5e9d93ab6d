import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { cachePath, readCached, writeCached } from '../../src/train/embedding-cache.ts'
import { temporaryFolder } from '../support/model-folder.ts'

test('embeddings come back as they were; a damaged or foreign file counts as none', async () => {
  const folder = await temporaryFolder()
  const path = cachePath(folder, 'encoder', ['one', 'two'])
  assert.equal(await readCached(path, 4), undefined)
  const values = Float32Array.of(1, 2, 3, 4)
  await writeCached(folder, path, values)
  assert.deepEqual(await readCached(path, 4), values)
  assert.equal(await readCached(path, 2), undefined)
  const bytes = await readFile(path)
  bytes[3] = 7
  await writeFile(path, bytes)
  assert.equal(await readCached(path, 4), undefined)
})

test('another encoder, another order and another cut of the texts have files of their own', () => {
  const paths = [
    cachePath('', 'encoder', ['one', 'two']),
    cachePath('', 'other', ['one', 'two']),
    cachePath('', 'encoder', ['two', 'one']),
    cachePath('', 'encoder', ['one\ntwo']),
  ]
  assert.equal(new Set(paths).size, paths.length)
})
