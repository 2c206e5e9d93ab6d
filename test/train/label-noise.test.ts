import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { seededRandom } from '../../src/core/random.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import { checkLabels } from '../../src/train/check-labels.ts'
import { readJsonLines } from '../../src/train/json-lines.ts'
import { foldsOf } from '../../src/train/out-of-fold.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { throwsCode } from '../support/throws-code.ts'

const advice = join(packageRoot, 'examples', 'advice', 'texts.jsonl')

const options = (folder: string) => ({
  base: join(packageRoot, 'models', 'minilm-l6', '1'),
  modelsFolder: join(packageRoot, 'models'),
  cacheFolder: join(folder, 'cache'),
  maxTokens: 64,
  file: join(folder, 'found', 'wrong.jsonl'),
  runner: defaultTextRunner,
})

interface Line {
  readonly id: string
  readonly label: string
  readonly looks: 'missing' | 'wrongly given'
  readonly given: number
  readonly predicted: number
  readonly text: string
}

test('of the labels that were flipped on purpose most are found, and the strongest findings are nearly all flips', async () => {
  const folder = await temporaryFolder()
  const clean = await readJsonLines(advice)
  const labels = [...new Set(clean.texts.flatMap((text) => [...text.labels.keys()]))]
  const random = seededRandom(7)
  const flipped = new Set<string>()
  const texts = clean.texts.slice(0, 700).map((row) => {
    const given = new Map<string, number | null>(labels.map((label) => [label, row.labels.get(label) ?? 0]))
    for (const label of labels) {
      if (random.next() >= 0.05) continue
      flipped.add(`${row.id} ${label}`)
      given.set(label, (given.get(label) ?? 0) >= 0.5 ? 0 : 1)
    }
    return { ...row, labels: given }
  })
  const { summary, report } = await checkLabels({ source: 'advice', texts }, options(folder))
  const isFlip = ({ id, label }: { id: string; label: string }): boolean => flipped.has(`${id} ${label}`)
  const found = report.disagreements.filter(isFlip).length
  const first = report.disagreements.slice(0, 50).filter(isFlip).length
  // A twentieth of all cells are flips: chance would have 2 or 3 of 50.
  assert.ok(first >= 35, `${first} of the first 50 are flips`)
  assert.ok(found >= flipped.size / 2, `${found} of ${flipped.size} flips found`)
  assert.equal(summary.rows, 700)
  assert.equal(summary.folds, 5)
  assert.deepEqual(
    summary.labels.map(({ label }) => label),
    labels,
  )

  const lines = (await readFile(summary.file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
  assert.equal(lines.length, summary.disagreements)
  assert.equal(lines.filter(({ looks }) => looks === 'missing').length, sum(summary.labels, 'missing'))
  assert.equal(
    lines.filter(({ looks }) => looks === 'wrongly given').length,
    sum(summary.labels, 'wronglyGiven'),
  )
  for (const { id, looks, given, predicted, text } of lines) {
    assert.equal(looks === 'missing', given < 0.5)
    assert.equal(looks === 'missing', predicted >= 0.5)
    assert.equal(text, texts.find((row) => row.id === id)?.text)
  }
  assert.equal((await stat(summary.file)).mode & 0o077, 0, 'texts are for their owner alone')
  const again = await checkLabels({ source: 'advice', texts }, options(folder))
  assert.deepEqual(again.report, report)
})

const sum = (
  labels: readonly { missing: number; wronglyGiven: number }[],
  name: 'missing' | 'wronglyGiven',
) => labels.reduce((total, row) => total + row[name], 0)

test('folds are of one size, near-duplicates share one, and one text alone cannot be checked', async () => {
  const folder = await temporaryFolder()
  const { texts } = await readJsonLines(advice)
  const rows = texts.slice(0, 100).flatMap(({ id, text }) => [
    { id, text, targets: new Float32Array(0) },
    { id: `${id}-again`, text: `${text.toUpperCase()} !`, targets: new Float32Array(0) },
  ])
  const folds = foldsOf(rows, 5, 1)
  for (let row = 0; row < rows.length; row += 2) assert.equal(folds[row], folds[row + 1])
  const sizes = [0, 1, 2, 3, 4].map((fold) => folds.filter((each) => each === fold).length)
  assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 8, `folds of ${sizes.join(', ')} rows`)
  const same = texts.slice(0, 3).map((row) => ({ ...row, text: 'Salt the water.' }))
  await throwsCode(
    () => checkLabels({ source: 's', texts: same }, options(folder)),
    'DATA_INVALID',
    /one text/,
  )
})
