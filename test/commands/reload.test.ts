import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test, type TestContext } from 'node:test'
import { PeakMemory } from '../../src/commands/memory.ts'
import { modelReloadOf } from '../../src/commands/reload.ts'
import { waitUntil } from '../../src/core/clock.ts'
import { promote } from '../../src/models/champion.ts'
import { openModel } from '../../src/models/folder.ts'
import { defaultTextRunner } from '../../src/models/text-runner.ts'
import type { WrittenVersion } from '../../src/models/versions.ts'
import { loadSettings } from '../../src/settings/load.ts'
import type { Scorer } from '../../src/stream/ports.ts'
import { Serving } from '../../src/stream/serving.ts'
import type { Logger } from '../../src/telemetry/log.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { damageNames, damages } from '../support/damaged-models.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { processIsGone } from '../support/processes.ts'
import { writeSmallModel } from '../support/small-model.ts'

const servingOptions = { ...defaultTextRunner, threads: 1, maxTokens: 0 }

let modelsFolder: string
let first: WrittenVersion
let second: WrittenVersion
before(async () => {
  modelsFolder = await temporaryFolder()
  first = await writeSmallModel(modelsFolder, 1)
  second = await writeSmallModel(modelsFolder, 2, { labels: ['third', 'fourth'], threshold: 0.2 })
})

/** What `run` has around its pipeline; the pipeline itself takes every model. */
async function reloading(t: TestContext, serve: typeof Serving.start = (...args) => Serving.start(...args)) {
  await promote(modelsFolder, 'small', first.version)
  const metrics = new Metrics()
  const lines: { message: string; fields: Record<string, unknown> }[] = []
  const log: Logger = {
    debug: () => undefined,
    info: (message, fields = {}) => lines.push({ message, fields }),
    warn: (message, fields = {}) => lines.push({ message, fields }),
    error: (message, fields = {}) => lines.push({ message, fields }),
  }
  const scorers: Scorer[] = []
  const reload = await modelReloadOf({
    settings: loadSettings({ environment: {}, flags: { model: 'small', 'models.folder': modelsFolder } })
      .settings,
    log,
    metrics,
    serving: await Serving.start(await openModel('small', modelsFolder), servingOptions),
    serve: (model, signal) => serve(model, { ...servingOptions, signal }),
    peak: new PeakMemory(),
    swap: (scorer) => {
      scorers.push(scorer)
      return Promise.resolve()
    },
  })
  t.after(async () => {
    await reload.close()
    await reload.serving.close()
  })
  await reload.check()
  const metric = async (name: string): Promise<string[]> =>
    (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(`labelstream_${name}`))
  return { reload, lines, scorers, metric }
}

/** A damaged version cannot be promoted by the command: its files change afterwards. */
const promoteUnseen = (version: string): Promise<void> =>
  writeFile(join(modelsFolder, 'small', 'champion'), `${version}\n`)

/** Processes that this one started. */
async function children(): Promise<number[]> {
  const tasks = await readdir(`/proc/${process.pid}/task`)
  const lists = await Promise.all(
    tasks.map((task) => readFile(`/proc/${process.pid}/task/${task}/children`, 'utf8')),
  )
  return lists.flatMap((list) => list.trim().split(' ').filter(Boolean).map(Number))
}

describe('a promoted version', () => {
  test('is proved and serves; the process of the one before it ends; metrics and one log line say so', async (t) => {
    const { reload, lines, scorers, metric } = await reloading(t)
    const before = reload.serving.inference.pid ?? 0
    await promote(modelsFolder, 'small', second.version)
    await reload.check()
    assert.equal(reload.serving.model.digest, second.digest)
    assert.notEqual(reload.serving.inference.pid, before)
    assert.ok(processIsGone(before))
    const [scorer] = scorers
    assert.deepEqual(
      [scorer?.model.version, scorer?.model.digest, scorer?.labels],
      [second.version, second.digest, ['third', 'fourth']],
    )
    assert.deepEqual(lines, [
      {
        message: 'model reloaded',
        fields: {
          model: `small@${second.version}`,
          provider: 'cpu',
          precision: 'fp32',
          graph: 'plain',
          processes: 1,
          threads: 1,
          before: `small@${first.version}`,
          labelsAdded: 1,
          labelsRemoved: 2,
        },
      },
    ])
    assert.deepEqual(await metric('model_info'), [
      `labelstream_model_info{name="small",version="${second.version}",digest="${second.digest}",provider="cpu",precision="fp32"} 1`,
    ])
    assert.deepEqual(await metric('model_reloads_total'), [
      'labelstream_model_reloads_total{result="swapped"} 1',
      'labelstream_model_reloads_total{result="refused"} 0',
      'labelstream_model_reloads_total{result="failed"} 0',
    ])
  })

  test('whose process is killed while it starts is started again, and the one before it serves meanwhile', async (t) => {
    let killed = 0
    const { reload, lines, metric } = await reloading(t, async (model, options) => {
      const known = await children()
      const starting = Serving.start(model, options)
      starting.catch(() => undefined)
      if (killed === 0) {
        await waitUntil(
          async () => {
            const fresh = (await children()).filter((pid) => !known.includes(pid))
            for (const pid of fresh) process.kill(pid, 'SIGKILL')
            killed += fresh.length
            return fresh.length > 0
          },
          { timeoutMs: 10_000, everyMs: 5, onTimeout: () => new Error('no process was started') },
        )
      }
      return starting
    })
    await promote(modelsFolder, 'small', second.version)
    await reload.check()
    assert.ok(killed > 0)
    assert.equal(reload.serving.model.version, first.version)
    assert.equal((await reload.serving.score(['still here'])).length, 1)
    assert.deepEqual(
      [lines[0]?.message, lines[0]?.fields['code'], lines[0]?.fields['triedAgain']],
      ['model not reloaded', 'INFERENCE_CRASHED', true],
    )
    await waitUntil(
      async () => {
        await reload.check()
        return reload.serving.model.version === second.version
      },
      { timeoutMs: 30_000, everyMs: 100, onTimeout: () => new Error('it never took over') },
    )
    const [swapped, refused, failed] = await metric('model_reloads_total')
    assert.match(`${swapped}\n${refused}\n${failed}`, /swapped"} 1\n.*refused"} 0\n.*failed"} [1-9]/)
  })
})

describe('a version with', () => {
  for (const [number, name] of damageNames.entries()) {
    const { write, names } = damages[name]
    test(`${name} is refused at the start, and at a reload the one before it serves on`, async (t) => {
      const { version } = await write(modelsFolder, 100 + number)
      const start = async (): Promise<Serving> =>
        Serving.start(await openModel(`small@${version}`, modelsFolder), servingOptions)
      await assert.rejects(start(), { code: 'MODEL_CORRUPT', message: names })

      const { reload, lines, scorers, metric } = await reloading(t)
      const { pid } = reload.serving.inference
      await promoteUnseen(version)
      for (let look = 0; look < 3; look++) await reload.check()
      assert.deepEqual([reload.serving.model.version, reload.serving.inference.pid], [first.version, pid])
      assert.deepEqual(scorers, [])
      assert.deepEqual(await children(), [pid])
      assert.equal(lines.length, 1)
      const { message, fields } = lines[0] ?? { message: '', fields: {} }
      assert.equal(message, 'model not reloaded')
      assert.match(String(fields['reason']), names)
      assert.deepEqual(
        [fields['wanted'], fields['serving'], fields['code'], fields['triedAgain']],
        [`small@${version}`, `small@${first.version}`, 'MODEL_CORRUPT', false],
      )
      assert.equal((await metric('model_reloads_total')).at(1)?.endsWith('{result="refused"} 1'), true)
    })
  }

  test('no folder at all is refused, and so is a champion file that names none', async (t) => {
    const { reload, lines } = await reloading(t)
    await promoteUnseen('no-such-version')
    await reload.check()
    await promoteUnseen('../../etc')
    await reload.check()
    await reload.check()
    assert.deepEqual(
      lines.map(({ fields }) => fields['code']),
      ['MODEL_NOT_FOUND', 'MODEL_CORRUPT'],
    )
    assert.equal(reload.serving.model.version, first.version)
  })
})
