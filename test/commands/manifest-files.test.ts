import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import type { OptionValues } from '../../src/commands/command.ts'
import { readEvaluationData, readTrainingData } from '../../src/commands/recorded-data.ts'
import type { LabelstreamError } from '../../src/core/errors.ts'
import { type Prepared, prepare } from '../../src/train/prepare.ts'
import { commandContext } from '../support/command-context.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { throwsCode } from '../support/throws-code.ts'

let folder: string
before(async () => {
  folder = await temporaryFolder()
})

const read = async (options: OptionValues): Promise<Prepared['data']> =>
  prepare(await readTrainingData(commandContext({}), options)).data

let written = 0
/** The manifest of a fresh reading of the data, as a file. */
async function manifestOf(options: OptionValues) {
  const data = await read(options)
  const path = join(folder, `manifest-${written++}.json`)
  await writeFile(path, JSON.stringify(data))
  return { path, data }
}

const labelled = (number: number): object => ({
  text: `text number ${number}`,
  labels: number % 3 === 0 ? { a: 0.75, b: null } : ['b'],
})

async function jsonLines(name: string, from: number, to: number): Promise<string> {
  const lines = Array.from({ length: to - from }, (_, place) => JSON.stringify(labelled(from + place)))
  const path = join(folder, name)
  await writeFile(path, lines.join('\n'))
  return path
}

test('a manifest of files gives the same rows, also from where the files are now', async () => {
  const [rows, dev] = [await jsonLines('rows.jsonl', 0, 80), await jsonLines('dev.jsonl', 80, 100)]
  const { path, data } = await manifestOf({ data: rows, dev })
  assert.deepEqual([data.train, data.dev, data.test], [80, 20, 0])
  assert.deepEqual(await read({ manifest: path }), data)

  const moved = join(folder, 'elsewhere')
  await mkdir(moved)
  await copyFile(rows, join(moved, 'renamed.jsonl'))
  await copyFile(dev, join(moved, 'dev.jsonl'))
  await writeFile(rows, `${await readFile(rows, 'utf8')}\n`)
  await rm(dev)
  const changed = await throwsCode(() => read({ manifest: path }), 'DATA_GONE')
  assert.match(
    changed.message,
    /rows\.jsonl is another file now: \d+ bytes, sha256 \w{64}, not \d+ bytes, sha256 \w{64}$/,
  )
  await throwsCode(
    () => read({ manifest: path, data: join(moved, 'renamed.jsonl') }),
    'FILE_UNREADABLE',
    /dev\.jsonl/,
  )
  const found = await read({
    manifest: path,
    data: join(moved, 'renamed.jsonl'),
    dev: join(moved, 'dev.jsonl'),
  })
  assert.equal(found.digest, data.digest)
})

test('a manifest that does not fit is refused with what is wrong', async () => {
  const rows = await jsonLines('all.jsonl', 0, 80)
  const { path, data } = await manifestOf({ data: rows })
  const saved = async (content: object | string): Promise<string> => {
    const file = join(folder, 'odd.json')
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
    return file
  }
  const refusals: [OptionValues, LabelstreamError['code'], RegExp][] = [
    [{}, 'USAGE', /--data is missing/],
    [{ manifest: join(folder, 'nowhere.json') }, 'FILE_UNREADABLE', /nowhere\.json cannot be read/],
    [{ manifest: await saved('{"source"') }, 'DATA_INVALID', /odd\.json: not valid JSON/],
    [{ manifest: path, dev: rows }, 'USAGE', /--dev: .* has no dev rows/],
    [{ manifest: path, data: 'topic:labels' }, 'USAGE', /from the file .*all\.jsonl/],
  ]
  for (const [options, code, message] of refusals) await throwsCode(() => read(options), code, message)
  const older = { ...data, sources: undefined }
  for (const [content, message] of [
    [{ ...data, rows: 'many' }, /no data manifest: rows: /],
    [older, /does not say what to read/],
    [{ kind: 'classifier', data: older }, /does not say what to read/],
    [{ kind: 'encoder' }, /does not say what it was trained on/],
  ] as const) {
    const manifest = await saved(content)
    await throwsCode(() => read({ manifest }), 'DATA_INVALID', message)
  }
  const manifest = await saved({ ...data, digest: '0'.repeat(64) })
  await throwsCode(() => read({ manifest }), 'DATA_GONE', /the sources are as they were, but .* not 0{64}/)
})

test('a model can be measured on a part of the rows that another one had', async () => {
  const rows = await jsonLines('measured.jsonl', 0, 80)
  const { path, data } = await manifestOf({ data: rows })
  for (const part of ['train', 'dev', 'test'] as const) {
    const { texts, source } = await readEvaluationData(commandContext({}), { manifest: path, part })
    assert.equal(texts.length, data[part])
    assert.match(source, new RegExp(`^${part} part of measured\\.jsonl`))
  }
  assert.equal((await readEvaluationData(commandContext({}), { manifest: path })).texts.length, data.test)
  await throwsCode(
    () => readEvaluationData(commandContext({}), { data: rows, part: 'dev' }),
    'USAGE',
    /--manifest/,
  )
  await throwsCode(
    () => readEvaluationData(commandContext({}), { manifest: path, part: 'all' }),
    'USAGE',
    /train, dev/,
  )
})
