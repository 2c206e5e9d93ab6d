import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readFileLimited, readSecret } from '../../src/core/files.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { throwsCode } from '../support/throws-code.ts'

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

test('a secret is its file without the last line break, and an empty one is refused', async () => {
  const path = join(await temporaryFolder(), 'secret')
  for (const [content, secret] of [
    ['abc', 'abc'],
    ['abc\n', 'abc'],
    ['abc\r\n', 'abc'],
    [' a b \n\n', ' a b \n'],
  ] as const) {
    await writeFile(path, content)
    assert.equal(readSecret('http.tokenFile', path), secret)
  }
  for (const empty of ['', '\n', '\r\n']) {
    await writeFile(path, empty)
    await throwsCode(() => readSecret('http.tokenFile', path), 'SETTING_INVALID', /http\.tokenFile.*is empty/)
  }
  await throwsCode(
    () => readSecret('http.tokenFile', '/nowhere'),
    'FILE_UNREADABLE',
    /http\.tokenFile.*nowhere/,
  )
})
