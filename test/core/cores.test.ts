import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usableCores } from '../../src/core/cores.ts'

const files = (contents: Readonly<Record<string, string>>) => (path: string) => {
  const text = contents[path]
  if (text === undefined) throw new Error(`no ${path}`)
  return text
}
const second = (text: string) => files({ '/sys/fs/cgroup/cpu.max': text })
const first = (quota: string) =>
  files({
    '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': quota,
    '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
  })

test('a container has the cores that its processor time is worth', () => {
  assert.equal(usableCores(second('200000 100000\n'), 64), 2)
  assert.equal(usableCores(second('150000 100000\n'), 64), 2)
  assert.equal(usableCores(second('20000 100000\n'), 64), 1)
  assert.equal(usableCores(second('800000 100000\n'), 4), 4)
  assert.equal(usableCores(first('300000\n'), 64), 3)
})

test('without a quota, or where it cannot be read, all cores count', () => {
  assert.equal(usableCores(second('max 100000\n'), 8), 8)
  assert.equal(usableCores(first('-1\n'), 8), 8)
  assert.equal(usableCores(files({}), 8), 8)
  assert.equal(usableCores(second('what is this\n'), 8), 8)
  assert.ok(usableCores() >= 1)
})
