import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { childEnvironment } from '../../src/runtime/child-environment.ts'
import { Inference } from '../../src/runtime/inference.ts'
import { runCli } from '../support/cli.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { savedModel } from '../support/saved-model.ts'

test('ONNX Runtime leaves no identifier and no queue of events behind: scoring writes nothing at home', async () => {
  const home = await temporaryFolder()
  // what would suppress it in a test alone is taken away
  const env = { HOME: home, XDG_CACHE_HOME: '', CI: '', GITHUB_ACTIONS: '', ORT_DISABLE_TELEMETRY: '0' }
  const run = await runCli(['score', '--json', 'Salt the water first.'], { env })
  assert.equal(run.status, 0, run.stderr)
  assert.deepEqual(readdirSync(home, { recursive: true }), [])
  assert.doesNotMatch(run.stderr, /telemetry/i)
})

test('a process that computes is told nothing of our settings', async (t) => {
  process.env['KAFKA_SASL_PASSWORD'] = 'canary-password'
  process.env['LABELSTREAM_GROUP'] = 'canary-group'
  t.after(() => {
    delete process.env['KAFKA_SASL_PASSWORD']
    delete process.env['LABELSTREAM_GROUP']
  })
  const environment = childEnvironment()
  assert.equal(environment['ORT_DISABLE_TELEMETRY'], '1')
  assert.equal(environment['PATH'], process.env['PATH'])
  assert.doesNotMatch(JSON.stringify(environment), /canary/)
  if (process.platform !== 'linux') return
  const inference = await Inference.start({
    folder: await savedModel(),
    output: 'logits',
    provider: 'cpu',
    precision: 'fp32',
    threads: 1,
    deadlineMs: 60_000,
  })
  try {
    const seen = readFileSync(`/proc/${String(inference.pid)}/environ`, 'latin1')
    assert.match(seen, /ORT_DISABLE_TELEMETRY=1/)
    assert.doesNotMatch(seen, /canary/)
  } finally {
    await inference.close()
  }
})
