import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choosePrecision } from '../../src/runtime/precision.ts'
import { providerCandidates } from '../../src/runtime/provider.ts'

const bare = { platform: 'linux', hasFile: () => false } as const

test('auto tries a graphics processor only where there is a sign of one', () => {
  assert.deepEqual(providerCandidates('auto', bare), ['cpu'])
  const nvidia = { platform: 'linux', hasFile: (path: string) => path === '/dev/nvidiactl' } as const
  assert.deepEqual(providerCandidates('auto', nvidia), ['cuda', 'cpu'])
  const graphics = { platform: 'linux', hasFile: (path: string) => path.startsWith('/dev/dri/') } as const
  assert.deepEqual(providerCandidates('auto', graphics), ['webgpu', 'cpu'])
  assert.ok(providerCandidates('auto', { ...bare, platform: 'win32' }).includes('dml'))
})

test('a named provider is tried first and the CPU stands behind it', () => {
  assert.deepEqual(providerCandidates('cuda', bare), ['cuda', 'cpu'])
  assert.deepEqual(providerCandidates('coreml', bare), ['coreml', 'cpu'])
  assert.deepEqual(providerCandidates('cpu', bare), ['cpu'])
})

test('a precision that cannot be built is refused by the name of the setting', () => {
  assert.equal(choosePrecision('auto'), 'fp32')
  assert.equal(choosePrecision('fp32'), 'fp32')
  for (const precision of ['int8', 'fp16'] as const) {
    assert.throws(() => choosePrecision(precision), {
      code: 'SETTING_INVALID',
      message: /runtime\.precision.*fp32/,
    })
  }
})
