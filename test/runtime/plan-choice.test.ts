import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { choosePlan, type PlanSubject } from '../../src/runtime/plan-choice.ts'
import { temporaryFolder } from '../support/model-folder.ts'

const two = { processes: 2, threads: 1 }
const one = { processes: 1, threads: 2 }

/** Pools that compute so many tokens per second, by their number of processes, and what became of them. */
function pretended(rates: Readonly<Record<number, number>>, changes: Partial<PlanSubject> = {}) {
  const seen = { open: 0, mostOpen: 0, started: [] as number[], warm: 0 }
  const subject: PlanSubject = {
    plans: [two, one],
    of: ['cpu', 'int8', 'ab'],
    budgetTokens: 1_024,
    start: ({ processes }) => {
      seen.started.push(processes)
      seen.mostOpen = Math.max(seen.mostOpen, ++seen.open)
      return Promise.resolve({
        warm: () => {
          seen.warm++
          return Promise.resolve()
        },
        measure: (batches) => {
          const rate = rates[processes]
          if (rate === undefined) return Promise.reject(new Error('out of memory'))
          const paddedTokens = batches.flat().reduce((sum, { length }) => sum + length, 0)
          return Promise.resolve({ paddedTokens, seconds: paddedTokens / rate })
        },
        close: () => {
          seen.open--
          return Promise.resolve()
        },
      })
    },
    ...changes,
  }
  return { seen, subject }
}

test('the plan with the best rate is taken, one pool at a time is open, and the next start knows it', async () => {
  const folder = join(await temporaryFolder(), 'cache')
  const first = pretended({ 1: 9_000, 2: 6_000 })
  const chosen = await choosePlan(first.subject, folder)
  assert.deepEqual(chosen, { ...one, why: 'measured: 2x1 6000 tokens/s, 1x2 9000 tokens/s' })
  assert.deepEqual(first.seen, { open: 0, mostOpen: 1, started: [2, 1], warm: 2 })
  const second = pretended({ 1: 1, 2: 2 })
  assert.deepEqual(await choosePlan(second.subject, folder), {
    ...one,
    why: `at an earlier start ${chosen.why}`,
  })
  assert.deepEqual(second.seen.started, [])
})

test('what is hardly faster than the first plan does not replace it', async () => {
  const { processes, threads } = await choosePlan(
    pretended({ 1: 6_200, 2: 6_000 }).subject,
    await temporaryFolder(),
  )
  assert.deepEqual({ processes, threads }, two)
})

test('where there is one plan, nothing is started', async () => {
  const { seen, subject } = pretended({}, { plans: [two] })
  assert.deepEqual(await choosePlan(subject, await temporaryFolder()), {
    ...two,
    why: 'there is one way on this machine',
  })
  assert.deepEqual(seen.started, [])
})

test('a plan that is none of these any more is measured again', async () => {
  const folder = await temporaryFolder()
  await choosePlan(pretended({ 1: 9_000, 2: 6_000 }).subject, folder)
  const [name = ''] = await readdir(folder)
  const written = await readFile(join(folder, name), 'utf8')
  for (const content of ['', 'null', '[]', '{"processes":64,"threads":64,"why":""}', '{"processes":1}']) {
    await writeFile(join(folder, name), content)
    const again = pretended({ 1: 9_000, 2: 6_000 })
    assert.equal((await choosePlan(again.subject, folder)).processes, 1)
    assert.deepEqual(again.seen.started, [2, 1], content)
    assert.equal(await readFile(join(folder, name), 'utf8'), written)
  }
})

test('a measurement that fails leaves no process and no file behind', async () => {
  const folder = await temporaryFolder()
  const { seen, subject } = pretended({ 2: 6_000 })
  await assert.rejects(choosePlan(subject, folder), /out of memory/)
  assert.equal(seen.open, 0)
  assert.deepEqual(await readdir(folder), [])
})
