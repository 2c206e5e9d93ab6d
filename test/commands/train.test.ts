import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { endOffsets } from '../../src/kafka/admin.ts'
import { freshTopic, testClient } from '../support/broker.ts'
import { cliJson, runCli } from '../support/cli.ts'
import { temporaryFolder } from '../support/model-folder.ts'

let folder: string
let models: string
let rows: { id: string; text: string; labels: string[] | Record<string, number> }[]

before(async () => {
  folder = await temporaryFolder()
  models = join(folder, 'models')
  await cp(join(packageRoot, 'models', 'minilm-l6'), join(models, 'minilm-l6'), { recursive: true })
  const corpus = await readFile(join(packageRoot, 'examples', 'advice', 'texts.jsonl'), 'utf8')
  rows = corpus
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as (typeof rows)[number])
})

interface Retrained {
  version: string
  path: string
  metrics: { macroF1: number; rows: number }
  gate: { passed: boolean; reasons: string[] }
}

const file = async (name: string, content: readonly unknown[]): Promise<string> => {
  const path = join(folder, name)
  await writeFile(path, content.map((row) => JSON.stringify(row)).join('\n'))
  return path
}

test('labels put, retrain from the topic, evaluate, promote, roll back: the way of a label', async () => {
  const client = await testClient()
  const topic = await freshTopic(client, 3, { config: { 'cleanup.policy': 'compact' } })
  const kafka = ['--kafka-brokers', client.options.brokers.join(','), '--labels-topic', topic]
  const heldOut = await file('held-out.jsonl', rows.slice(0, 200))
  const labelled = await file('labelled.jsonl', rows.slice(200, 900))

  const put = await cliJson(['labels', 'put', labelled, ...kafka])
  assert.deepEqual(put, { topic, written: 700 })
  const ends = await endOffsets(client, topic)
  assert.equal(
    [...ends.values()].reduce((sum, offset) => sum + offset, 0),
    700,
  )

  const common = ['--models-folder', models, '--base', 'minilm-l6', '--name', 'small', '--promote']
  const train = ['retrain', '--data', `topic:${topic}`, ...kafka, ...common]
  const first = (await cliJson([...train, '--strategy', 'frozen-linear'], { cwd: folder })) as Retrained
  assert.equal(first.gate.passed, true)
  assert.ok(first.metrics.macroF1 > 0.7, `macro-F1 ${first.metrics.macroF1}`)

  const evaluated = (await cliJson(
    [
      'evaluate',
      '--model',
      'small',
      '--models-folder',
      models,
      '--data',
      heldOut,
      '--predictions',
      join(folder, 'p.jsonl'),
    ],
    { cwd: folder },
  )) as {
    rows: number
    threshold: string
    macroF1: number
    perLabel: Record<string, { f1: number; support: number }>
  }
  assert.equal(evaluated.rows, 200)
  assert.equal(evaluated.threshold, 'tuned')
  assert.ok(evaluated.macroF1 > 0.6, `macro-F1 ${evaluated.macroF1}`)
  const predictions = (await readFile(join(folder, 'p.jsonl'), 'utf8')).trim().split('\n')
  assert.deepEqual(
    predictions.map((line) => (JSON.parse(line) as { id: string }).id),
    rows.slice(0, 200).map(({ id }) => id),
  )

  const second = (await cliJson([...train, '--strategy', 'frozen-dense'], { cwd: folder })) as Retrained
  const listed = (await cliJson(['models', 'list', '--models-folder', models])) as {
    models: { name: string; champion?: string; versions: { version: string }[] }[]
  }
  const small = listed.models.find(({ name }) => name === 'small')
  assert.deepEqual(
    small?.versions.map(({ version }) => version).sort(),
    [first.version, second.version].sort(),
  )

  await cliJson(['models', 'promote', `small@${second.version}`, '--models-folder', models])
  const back = await cliJson(['models', 'rollback', 'small', '--models-folder', models])
  assert.deepEqual(back, { name: 'small', champion: first.version })
  await cliJson(['models', 'verify', `small@${second.version}`, '--models-folder', models])

  const calibrate = ['models', 'calibrate', 'small', '--models-folder', models, '--data', `topic:${topic}`]
  const calibrated = (await cliJson([...calibrate, ...kafka], { cwd: folder })) as {
    version: string
    from: string
    metrics: { rows: number }
    promoted: boolean
  }
  assert.deepEqual(
    [calibrated.from, calibrated.metrics.rows, calibrated.promoted],
    [first.version, 700, false],
  )
  await cliJson(['models', 'verify', `small@${calibrated.version}`, '--models-folder', models])
})

test('a candidate that is worse than the champion is kept, not promoted, with exit code 3', async () => {
  const good = await file('good.jsonl', rows.slice(0, 700))
  const spoiled = await file(
    'spoiled.jsonl',
    rows.slice(0, 700).map((row, index) => ({ ...row, labels: rows[(index + 37) % 700]?.labels })),
  )
  const dev = await file('dev.jsonl', rows.slice(700, 1_000))
  const common = [
    '--dev',
    dev,
    '--models-folder',
    models,
    '--base',
    'minilm-l6',
    '--name',
    'gated',
    '--promote',
  ]
  const champion = (await cliJson(['retrain', '--data', good, '--strategy', 'frozen-linear', ...common], {
    cwd: folder,
  })) as Retrained
  const run = await runCli(
    ['retrain', '--data', spoiled, '--strategy', 'frozen-linear', ...common, '--json'],
    {
      cwd: folder,
    },
  )
  assert.equal(run.status, 3, run.stderr)
  assert.match(run.stderr, /GATE_REFUSED/)
  const result = JSON.parse(run.stdout) as Retrained
  assert.equal(result.gate.passed, false)
  assert.notEqual(result.version, champion.version)
  assert.equal((await readFile(join(models, 'gated', 'champion'), 'utf8')).trim(), champion.version)
})

test('labelled data that cannot be used is refused with its line', async () => {
  const bad = await file('bad.jsonl', [rows[0], { id: 'x', text: 'a text', labels: { a: 2 } }])
  const run = await runCli([
    'retrain',
    '--data',
    bad,
    '--base',
    'minilm-l6',
    '--name',
    'x',
    '--strategy',
    'frozen-linear',
  ])
  assert.equal(run.status, 2)
  assert.match(run.stderr, /DATA_INVALID: .*bad\.jsonl line 2/)
})
