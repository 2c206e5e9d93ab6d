import assert from 'node:assert/strict'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type BudgetSubject, chooseBudget } from '../../src/stream/batch-budget.ts'
import { temporaryFolder } from '../support/model-folder.ts'

/** A session that is fastest in batches of 2,048 tokens, and counts how often it is asked. */
function subject(changes: Partial<BudgetSubject> = {}) {
  const asked = { times: 0 }
  const session: BudgetSubject['session'] = {
    measure: (batches) => {
      asked.times++
      const paddedTokens = batches.flat().reduce((sum, { length }) => sum + length, 0)
      const fast = paddedTokens > 1_500 && paddedTokens < 2_500
      return Promise.resolve({ paddedTokens, seconds: paddedTokens * (fast ? 1e-7 : 2e-7) })
    },
  }
  const info = { provider: 'cpu', precision: 'fp32' } as const
  const layout = { processes: 1, threads: 2 }
  return { asked, subject: { session, info, ...layout, modelDigest: 'ab', maxTokens: 256, ...changes } }
}

test('the budget is measured once, and said with its figures; the next start knows it', async () => {
  const folder = join(await temporaryFolder(), 'cache')
  const first = subject()
  const chosen = await chooseBudget(first.subject, folder)
  assert.equal(chosen.budgetTokens, 2_048)
  assert.match(
    chosen.why,
    /^measured: 512 5000000 tokens\/s, 1024 5000000 tokens\/s, 2048 10000000 tokens\/s/,
  )
  const second = subject()
  assert.deepEqual(await chooseBudget(second.subject, folder), {
    budgetTokens: 2_048,
    why: `at an earlier start ${chosen.why}`,
  })
  assert.equal(second.asked.times, 0)
})

test('another model, precision, provider and layout are measured by themselves', async () => {
  const folder = await temporaryFolder()
  const changes: Partial<BudgetSubject>[] = [
    {},
    { modelDigest: 'cd' },
    { info: { provider: 'cpu', precision: 'int8' } },
    { info: { provider: 'cuda', precision: 'fp32' } },
    { threads: 1 },
    { processes: 2 },
    { maxTokens: 1_500 },
  ]
  for (const change of changes) await chooseBudget(subject(change).subject, folder)
  assert.equal((await readdir(folder)).length, changes.length)
})

test('a damaged file and a budget below the longest window are measured again', async () => {
  const folder = await temporaryFolder()
  await chooseBudget(subject().subject, folder)
  const [name = ''] = await readdir(folder)
  const path = join(folder, name)
  const written = await readFile(path, 'utf8')
  for (const content of [
    '',
    '{}',
    'null',
    '[1]',
    '{"budgetTokens":64,"why":""}',
    '{"budgetTokens":"2048","why":""}',
  ]) {
    await writeFile(path, content)
    const again = subject()
    assert.equal((await chooseBudget(again.subject, folder)).budgetTokens, 2_048)
    assert.ok(again.asked.times > 0, content)
    assert.equal(await readFile(path, 'utf8'), written)
  }
})

test('a folder that cannot be written costs another measurement, nothing else', async () => {
  const file = join(await temporaryFolder(), 'file')
  await writeFile(file, '')
  assert.equal((await chooseBudget(subject().subject, join(file, 'cache'))).budgetTokens, 2_048)
})
