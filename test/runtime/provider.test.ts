import assert from 'node:assert/strict'
import { test } from 'node:test'
import { precisionOn } from '../../src/runtime/precision.ts'
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

test('auto is fp32, and int8 on a CPU where the model was checked in it', () => {
  assert.equal(precisionOn('cpu', { precision: 'auto', autoOnCpu: 'fp32' }), 'fp32')
  assert.equal(precisionOn('cpu', { precision: 'auto', autoOnCpu: 'int8' }), 'int8')
  assert.equal(precisionOn('cuda', { precision: 'auto', autoOnCpu: 'int8' }), 'fp32')
})

test('a precision asked for is taken as it is, but int8 on a graphics processor', () => {
  for (const precision of ['fp32', 'fp16', 'int8'] as const) {
    assert.equal(precisionOn('cpu', { precision, autoOnCpu: 'fp32' }), precision)
  }
  assert.throws(() => precisionOn('webgpu', { precision: 'int8', autoOnCpu: 'int8' }), {
    code: 'SETTING_INVALID',
    message: /runtime\.precision int8/,
  })
})
