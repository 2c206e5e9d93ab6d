import assert from 'node:assert/strict'
import { test } from 'node:test'
import { graphCandidates } from '../../src/runtime/graph-form.ts'

const formsOf = (...wanted: Parameters<typeof graphCandidates>): string[] =>
  graphCandidates(...wanted).map(({ form }) => form)

test('CUDA tries the graph that is asked for, and plainer ones behind it', () => {
  assert.deepEqual(formsOf('cuda', 'fp16', 'packed'), ['packed', 'joined', 'stepwise'])
  assert.deepEqual(formsOf('cuda', 'fp32', 'joined'), ['joined', 'stepwise'])
  assert.deepEqual(formsOf('cuda', 'fp16', 'plain'), ['stepwise'])
})

test('other providers have one form each', () => {
  assert.deepEqual(formsOf('cpu', 'int8', 'packed'), ['served'])
  assert.deepEqual(formsOf('webgpu', 'fp16', 'packed'), ['stepwise'])
})
