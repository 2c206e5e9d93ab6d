import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, test } from 'node:test'
import { waitUntil } from '../../src/core/clock.ts'
import { LabelstreamError, type ErrorCode } from '../../src/core/errors.ts'
import { promiseWithSettlers } from '../../src/stream/end-watch.ts'
import { ModelReload } from '../../src/stream/model-reload.ts'

interface HandWarm {
  readonly version: string
  close(): Promise<void>
}

/** A models folder, and a stream that takes any model, both moved by hand. */
function handWorld(pauses = { firstMs: 0, longestMs: 0 }) {
  const world = {
    /** Undefined: nothing is promoted. */
    promoted: 'a' as string | undefined,
    mark: 1,
    /** What a version's start ends with, if not well. */
    faults: new Map<string, ErrorCode>(),
    /** Versions whose start waits to be told. */
    slow: new Map<string, ReturnType<typeof promiseWithSettlers>>(),
    /** A predecessor that still has work. */
    busy: undefined as ReturnType<typeof promiseWithSettlers> | undefined,
    refusedBySwap: false,
    story: [] as string[],
    alive: new Set<string>(),
    mostAlive: 0,
    promote: (version: string | undefined) => {
      world.promoted = version
      world.mark++
    },
  }
  const warm = (version: string): HandWarm => {
    world.alive.add(version)
    world.mostAlive = Math.max(world.mostAlive, world.alive.size)
    return {
      version,
      close: () => {
        assert.ok(world.alive.delete(version), `${version} is closed twice`)
        world.story.push(`${version} closed`)
        return Promise.resolve()
      },
    }
  }
  const reload = new ModelReload<HandWarm>(
    warm('a'),
    'a',
    {
      mark: () => Promise.resolve(world.promoted === undefined ? undefined : String(world.mark)),
      promoted: () => Promise.resolve(world.promoted),
      load: async (version, signal) => {
        world.story.push(`load ${version}`)
        const aborted = promiseWithSettlers()
        signal.addEventListener('abort', () => {
          aborted.reject(new LabelstreamError('INFERENCE_CRASHED', 'inference is closed'))
        })
        await Promise.race([world.slow.get(version)?.promise, aborted.promise])
        const fault = world.faults.get(version)
        if (fault !== undefined) throw new LabelstreamError(fault, 'it is not right')
        return warm(version)
      },
      swap: (next) => {
        if (world.refusedBySwap) throw new LabelstreamError('SETTING_INVALID', 'too long')
        world.story.push(`${next.version} serves`)
        return world.busy?.promise ?? Promise.resolve()
      },
      swapped: (next, before) => world.story.push(`${before.version} -> ${next.version}`),
      notSwapped: (version, { code }) => world.story.push(`not ${version}: ${code}`),
    },
    pauses,
  )
  /** What happened since the last time. */
  const story = (): string[] => world.story.splice(0)
  return { world, reload, story }
}

describe('ModelReload', () => {
  test('a promoted version takes over, and the one before it is closed when its work is done', async () => {
    const { world, reload, story } = handWorld()
    await reload.check()
    assert.deepEqual(story(), [], 'nothing was promoted since the start')
    world.promote('b')
    world.busy = promiseWithSettlers()
    const checked = reload.check()
    await nextTurn()
    assert.deepEqual(story(), ['load b', 'b serves', 'a -> b'])
    assert.equal(reload.serving.version, 'b')
    world.busy.resolve()
    await checked
    assert.deepEqual(story(), ['a closed'])
    await reload.check()
    assert.deepEqual(story(), [])
    assert.deepEqual([...world.alive], ['b'])
  })

  test('the version that serves promoted again, or nothing promoted: nothing happens', async () => {
    const { world, reload, story } = handWorld()
    world.promote('a')
    await reload.check()
    world.promote(undefined)
    await reload.check()
    assert.deepEqual(story(), [])
  })

  for (const code of ['MODEL_CORRUPT', 'MODEL_NOT_FOUND', 'MODEL_UNSUPPORTED', 'SETTING_INVALID'] as const) {
    test(`a version that is refused (${code}) is not asked again until it is promoted again or its files are still`, async () => {
      const { world, reload, story } = handWorld()
      world.faults.set('bad', code)
      world.promote('bad')
      for (let look = 0; look < 3; look++) await reload.check()
      assert.deepEqual(story(), ['load bad', `not bad: ${code}`])
      assert.equal(reload.serving.version, 'a')
      world.mark++
      await reload.check()
      world.mark++
      await reload.check()
      assert.deepEqual(story(), [], 'its files change from look to look')
      world.faults.clear()
      await reload.check()
      assert.deepEqual(story(), ['load bad', 'bad serves', 'a -> bad', 'a closed'])
    })
  }

  test('back to the version that serves after a refused one, nothing is loaded', async () => {
    const { world, reload, story } = handWorld()
    world.faults.set('bad', 'MODEL_CORRUPT')
    world.promote('bad')
    await reload.check()
    world.promote('a')
    for (let look = 0; look < 3; look++) await reload.check()
    assert.deepEqual(story(), ['load bad', 'not bad: MODEL_CORRUPT'])
    world.promote('b')
    await reload.check()
    assert.equal(reload.serving.version, 'b', 'after a good one the next is taken at once')
  })

  test('a start that fails by no fault of the model is repeated', async () => {
    const { world, reload, story } = handWorld()
    world.faults.set('b', 'INFERENCE_CRASHED')
    world.promote('b')
    await reload.check()
    await reload.check()
    assert.deepEqual(story(), ['load b', 'not b: INFERENCE_CRASHED', 'load b', 'not b: INFERENCE_CRASHED'])
    world.faults.clear()
    await reload.check()
    assert.deepEqual(story(), ['load b', 'b serves', 'a -> b', 'a closed'])
  })

  test('it is repeated after a pause, and another version does not wait for that', async () => {
    const { world, reload, story } = handWorld({ firstMs: 1e9, longestMs: 1e9 })
    world.faults.set('b', 'INFERENCE_HUNG')
    world.promote('b')
    await reload.check()
    await reload.check()
    assert.deepEqual(story(), ['load b', 'not b: INFERENCE_HUNG'])
    world.promote('c')
    await reload.check()
    assert.equal(reload.serving.version, 'c')
  })

  test('a version that another one overtakes while it is loaded never serves', async () => {
    const { world, reload, story } = handWorld()
    world.slow.set('b', promiseWithSettlers())
    world.promote('b')
    const checked = reload.check()
    await nextTurn()
    world.promote('c')
    world.slow.get('b')?.resolve()
    await checked
    assert.deepEqual(story(), ['load b', 'b closed'])
    await reload.check()
    assert.deepEqual(story(), ['load c', 'c serves', 'a -> c', 'a closed'])
    assert.equal(world.mostAlive, 2)
  })

  test('many promotions in a row: never more than two models at once, the last one serves in the end', async () => {
    const { world, reload } = handWorld()
    reload.watch(1)
    for (let turn = 0; turn < 50; turn++) {
      world.promote(`v${turn}`)
      for (let wait = turn % 5; wait > 0; wait--) await nextTurn()
    }
    await waitUntil(() => reload.serving.version === 'v49', {
      timeoutMs: 10_000,
      everyMs: 1,
      onTimeout: () => new Error(`it serves ${reload.serving.version}`),
    })
    await reload.close()
    assert.deepEqual([...world.alive], ['v49'])
    assert.ok(world.mostAlive <= 2, String(world.mostAlive))
  })

  test('a model that the stream cannot take is closed, and the one before it serves on', async () => {
    const { world, reload, story } = handWorld()
    world.refusedBySwap = true
    world.promote('b')
    await reload.check()
    assert.deepEqual(story(), ['load b', 'b closed', 'not b: SETTING_INVALID'])
    assert.equal(reload.serving.version, 'a')
  })

  test('closed in the middle of a start: the start is ended, and nothing is said of it', async () => {
    const { world, reload, story } = handWorld()
    world.slow.set('b', promiseWithSettlers())
    world.promote('b')
    reload.watch(1)
    await waitUntil(() => world.story.length > 0, {
      timeoutMs: 10_000,
      everyMs: 1,
      onTimeout: () => new Error('nothing was loaded'),
    })
    await reload.close()
    assert.deepEqual(story(), ['load b'])
    assert.deepEqual([...world.alive], ['a'])
  })

  test('closed while the one before still has work: that one is waited for', async () => {
    const { world, reload, story } = handWorld()
    world.busy = promiseWithSettlers()
    world.promote('b')
    reload.watch(1)
    await waitUntil(() => world.story.includes('a -> b'), {
      timeoutMs: 10_000,
      everyMs: 1,
      onTimeout: () => new Error('it did not take over'),
    })
    const closed = reload.close()
    world.busy.resolve()
    await closed
    assert.deepEqual(story(), ['load b', 'b serves', 'a -> b', 'a closed'])
    assert.deepEqual([...world.alive], ['b'])
  })
})
