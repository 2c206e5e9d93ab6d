import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readFileLimited } from '../../src/core/files.ts'
import { temporaryFolder } from '../support/model-folder.ts'

test('a file up to the limit is read, a larger one and what is no file are refused', async () => {
  const path = join(await temporaryFolder(), 'file')
  await writeFile(path, '12345')
  assert.equal((await readFileLimited(path, 5)).toString(), '12345')
  await assert.rejects(readFileLimited(path, 4), {
    code: 'FILE_UNREADABLE',
    message: /5 bytes, the limit is 4/,
  })
  await assert.rejects(readFileLimited('/dev/zero', 4), { code: 'FILE_UNREADABLE', message: /not a file/ })
  await assert.rejects(readFileLimited(join(path, 'nothing'), 4), { code: 'ENOTDIR' })
})
