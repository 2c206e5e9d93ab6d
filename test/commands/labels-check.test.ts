import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { runCli } from '../support/cli.ts'
import { temporaryFolder } from '../support/model-folder.ts'

test('labels check writes what looks wrong with its texts to a file, and only counts and ids to the terminal', async () => {
  const folder = await temporaryFolder()
  const corpus = await readFile(join(packageRoot, 'examples', 'advice', 'texts.jsonl'), 'utf8')
  const lines = corpus.trim().split('\n').slice(0, 150)
  await writeFile(join(folder, 'rows.jsonl'), lines.join('\n'))
  const models = join(packageRoot, 'models')
  const args = ['labels', 'check', '--data', 'rows.jsonl', '--models-folder', models, '--out', 'found.jsonl']
  const { status, stdout, stderr } = await runCli(args, { cwd: folder })
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^cooking_advice +\d+ +\d+ +\d+$/m)
  assert.match(stdout, /given labels look wrong: found\.jsonl/)
  const found = (await readFile(join(folder, 'found.jsonl'), 'utf8')).trim().split('\n')
  const rows = found.map((line) => JSON.parse(line) as { id: string; text: string })
  const given = new Map(
    lines.map((line) => JSON.parse(line) as { id: string; text: string }).map((row) => [row.id, row.text]),
  )
  for (const { id, text } of rows) assert.equal(text, given.get(id))
  for (const { text } of rows) assert.ok(!`${stdout}${stderr}`.includes(text), 'no text is printed')
})
