import assert from 'node:assert/strict'
import { appendFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { LabelstreamError } from '../../src/core/errors.ts'
import { promote, readChampion, rollback } from '../../src/models/champion.ts'
import { openEncoder, openModel } from '../../src/models/folder.ts'
import { parseReference } from '../../src/models/names.ts'
import { verifyFolder } from '../../src/models/verify.ts'
import { listModels } from '../../src/models/versions.ts'
import { temporaryFolder, writeTinyVersion } from '../support/model-folder.ts'

const at = (second: number) => new Date(Date.UTC(2026, 10, 23, 10, 0, second))
const fails = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof LabelstreamError && error.code === code && pattern.test(error.message)

test('a model opens by name through its champion, by version and by folder, as the same model', async () => {
  const models = await temporaryFolder()
  const { version, path, digest } = await writeTinyVersion(models)
  await promote(models, 'tiny', version)
  const byName = await openModel('tiny', models)
  assert.deepEqual(byName.labels, ['a', 'b'])
  assert.equal(byName.digest, digest)
  assert.deepEqual(await openModel(`tiny@${version}`, models), byName)
  assert.deepEqual(await openModel(path, '/nowhere'), byName)
  assert.deepEqual(await openModel(join(models, 'tiny'), '/nowhere'), byName)
})

test('the digest names the content: the same files give the same digest at any time and under any name', async () => {
  const models = await temporaryFolder()
  const first = await writeTinyVersion(models, { created: at(1) })
  const later = await writeTinyVersion(models, { created: at(2), name: 'other' })
  const changed = await writeTinyVersion(models, { created: at(3), weights: 'other' })
  assert.equal(later.digest, first.digest)
  assert.notEqual(changed.digest, first.digest)
  assert.match(first.version, /^2026-11-23T10-00-01Z-[0-9a-f]{6}$/)
})

test('a changed, cut or missing file is named, with both digests', async () => {
  const models = await temporaryFolder()
  const { path, version } = await writeTinyVersion(models)
  await writeFile(join(path, 'model.safetensors'), 'wEights')
  await assert.rejects(
    openModel(path, models),
    fails('MODEL_CORRUPT', /model\.safetensors differs .*[0-9a-f]{12} instead of [0-9a-f]{12}/),
  )
  await assert.rejects(promote(models, 'tiny', version), fails('MODEL_CORRUPT', /model\.safetensors/))
  assert.equal(await readChampion(models, 'tiny'), undefined)
  await appendFile(join(path, 'model.safetensors'), 'x')
  await assert.rejects(openModel(path, models), fails('MODEL_CORRUPT', /8 bytes, the manifest says 7/))
  await rm(join(path, 'model.safetensors'))
  await assert.rejects(openModel(path, models), fails('MODEL_CORRUPT', /model\.safetensors is missing/))
})

test('a damaged manifest is refused and says where', async () => {
  const models = await temporaryFolder()
  const { path } = await writeTinyVersion(models)
  await writeFile(join(path, 'manifest.json'), '{')
  await assert.rejects(openModel(path, models), fails('MODEL_CORRUPT', /manifest\.json: not valid JSON/))
  await writeFile(join(path, 'manifest.json'), '{"kind":"classifier","format":1,"name":3}')
  await assert.rejects(openModel(path, models), fails('MODEL_CORRUPT', /manifest\.json: name: /))
})

test('a manifest cannot reach outside its folder', async () => {
  const models = await temporaryFolder()
  const { path } = await writeTinyVersion(models)
  const manifest = {
    ...(await verifyFolder(path)).manifest,
    files: { '../champion': { sha256: '0'.repeat(64), sizeBytes: 0 } },
  }
  await writeFile(join(path, 'manifest.json'), JSON.stringify(manifest))
  await assert.rejects(openModel(path, models), fails('MODEL_CORRUPT', /files/))
})

test('files that the manifest does not name are reported, not refused', async () => {
  const models = await temporaryFolder()
  const { path } = await writeTinyVersion(models)
  await writeFile(join(path, 'notes.txt'), 'hello')
  assert.deepEqual((await verifyFolder(path)).unknownFiles, ['notes.txt'])
  await openModel(path, models)
})

test('what is not there is answered with what is', async () => {
  const models = await temporaryFolder()
  const { version } = await writeTinyVersion(models)
  await assert.rejects(openModel('tinny', models), fails('MODEL_NOT_FOUND', /no model tinny .*: tiny/))
  await assert.rejects(openModel('tiny', models), fails('MODEL_NOT_FOUND', new RegExp(`no champion.*${version}`)))
  await assert.rejects(openModel('tiny@1', models), fails('MODEL_NOT_FOUND', new RegExp(`no version 1.*${version}`)))
  await assert.rejects(openModel('./nowhere', models), fails('MODEL_NOT_FOUND', /no model folder/))
})

test('no name leaves the models folder', async () => {
  for (const reference of ['..', '../x', '/etc', '.', 'a/../b', '..\\x']) {
    assert.equal(parseReference(reference).kind, 'folder', reference)
  }
  for (const reference of ['', '@1', 'a@', 'a@b@c', 'a@..', 'a b', '-a', 'a\n']) {
    assert.throws(() => parseReference(reference), fails('SETTING_INVALID', /model/), JSON.stringify(reference))
  }
  const models = await temporaryFolder()
  for (const [name, version] of [
    ['..', 'x'],
    ['a', '../..'],
    ['a/b', 'c'],
  ] as const) {
    await assert.rejects(promote(models, name, version), fails('SETTING_INVALID', /name/))
  }
})

test('rollback goes back through the champions, and promotion comes again', async () => {
  const models = await temporaryFolder()
  const versions: string[] = []
  for (const second of [1, 2, 3]) {
    const { version } = await writeTinyVersion(models, { created: at(second), weights: `w${second}` })
    versions.push(version)
    await promote(models, 'tiny', version)
  }
  const [first, second, third] = versions
  assert.equal(await readChampion(models, 'tiny'), third)
  assert.equal(await rollback(models, 'tiny'), second)
  assert.equal(await rollback(models, 'tiny'), first)
  await assert.rejects(rollback(models, 'tiny'), fails('MODEL_NOT_FOUND', /no earlier champion/))
  assert.equal(await readChampion(models, 'tiny'), first)
  await promote(models, 'tiny', third ?? '')
  assert.equal(await rollback(models, 'tiny'), first)
})

test('a list names models, versions oldest first, and the champion', async () => {
  const models = await temporaryFolder()
  const newer = await writeTinyVersion(models, { created: at(9), weights: 'newer' })
  const older = await writeTinyVersion(models, { created: at(1) })
  await promote(models, 'tiny', newer.version)
  const [model, ...others] = await listModels(models)
  assert.deepEqual(others, [])
  assert.equal(model?.champion, newer.version)
  assert.deepEqual(
    model?.versions.map(({ version, champion }) => [version, champion]),
    [
      [older.version, false],
      [newer.version, true],
    ],
  )
})

test('writing the same version twice keeps one and leaves nothing half written', async () => {
  const models = await temporaryFolder()
  const first = await writeTinyVersion(models)
  assert.deepEqual(await writeTinyVersion(models), first)
  assert.deepEqual(await readdir(join(models, 'tiny')), [first.version])
})

test('a bare encoder is opened to train from, not to serve', async () => {
  const models = await temporaryFolder()
  await writeTinyVersion(models)
  const folder = join(models, 'encoder')
  await mkdir(folder)
  const manifest = {
    format: 1,
    kind: 'encoder',
    name: 'encoder',
    version: '1',
    created: '2026-11-23T10:00:00Z',
    licence: 'Apache-2.0',
    origin: 'a test',
    files: {},
  }
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest))
  assert.equal((await openEncoder('encoder', models)).name, 'encoder')
  await assert.rejects(openModel('encoder', models), fails('MODEL_UNSUPPORTED', /retrain --base encoder/))
  assert.deepEqual(
    (await listModels(models)).map(({ name, kind }) => [name, kind]),
    [
      ['encoder', 'encoder'],
      ['tiny', 'classifier'],
    ],
  )
})
