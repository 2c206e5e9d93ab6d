import assert from 'node:assert/strict'
import { LabelstreamError } from '../../src/core/errors.ts'
import type { FormatPorts, Scorer } from '../../src/stream/ports.ts'
import type { StreamWorld } from './stream-world.ts'

/** The labels of a version: not every version has the same. */
const labelsOf = (version: number): readonly string[] =>
  version % 2 === 0 ? ['a', 'b', 'c'] : ['b', 'c', 'd', 'e']
/** How far apart the logits of two versions are: more than those of two texts. */
const versionStep = 1_000_000

const poisonToken = 666

/**
 * A version of a model whose process crashes now and then, and always for poison. It takes only windows of its own
 * tokenizer, and no work after it was `ended`.
 */
export function pretendedScorer(
  world: StreamWorld,
  crashes: number,
  version = 0,
): Scorer & { end: () => void } {
  const labels = labelsOf(version)
  let ended = false
  let mayCrash = true
  let crashEpoch = 0
  return {
    model: { name: 'pretended', version: String(version), digest: `digest ${version}`, precision: 'fp32' },
    labels,
    maxTokens: 64,
    knownGoodText: '4:1:0',
    end: () => {
      ended = true
    },
    tokenizer: {
      tokenize: async (texts) => {
        assert.ok(!ended, 'a model that has left is asked to tokenise')
        await world.pass(2)
        return texts.map((text) => tokensOf(text, version))
      },
    },
    inference: {
      run: async (windows) => {
        assert.ok(!ended, 'a model that has left is asked to score')
        const born = crashEpoch
        // Never twice running: a row that is tried alone survives its second try.
        const crash = mayCrash && world.random.next() < crashes
        mayCrash = !crash
        await world.pass(4)
        const longest = Math.max(...windows.map((window) => window.length))
        if (crash || windows.some((window) => window[0] === poisonToken)) {
          crashEpoch++
          throw new LabelstreamError(
            world.random.next() < 0.5 ? 'INFERENCE_CRASHED' : 'INFERENCE_HUNG',
            'gone',
          )
        }
        // The process that this batch was queued at is gone.
        if (born !== crashEpoch) throw new LabelstreamError('INFERENCE_CRASHED', 'gone')
        const values = new Float32Array(windows.length * labels.length)
        windows.forEach((window, row) => {
          assert.equal(window[0], version, 'a window of another version')
          for (let label = 0; label < labels.length; label++) {
            values[row * labels.length + label] = version * versionStep + (window[1] ?? 0) + label
          }
        })
        return { values, width: labels.length, seconds: 0.001, paddedTokens: longest * windows.length }
      },
    },
    decide: (logits) => ({ scores: logits.slice(), decided: [`decided by ${version}`] }),
  }
}

export function pretendedFormats(world: StreamWorld): FormatPorts {
  return {
    decodeInput: (message) => {
      const text = message.value?.toString() ?? ''
      if (text.startsWith('bad')) throw new LabelstreamError('INPUT_EMPTY_TEXT', 'nothing there')
      const decoded = { id: message.key?.toString() ?? '', text }
      return world.random.next() < 0.1 ? Promise.resolve(decoded) : decoded
    },
    encodeScores: (event) => {
      const source = world.log[event.source.partition]?.find(({ offset }) => offset === event.source.offset)
      const text = source?.value?.toString() ?? ''
      const [length, windows, number] = text.split(':').map(Number)
      assert.equal(event.windows, windows)
      assert.equal(event.tokens, length)
      // All that an event says of its model is of one, and the largest window of the text decides.
      const version = Number(event.model.version)
      assert.equal(event.model.digest, `digest ${version}`)
      assert.deepEqual(event.scores.names, labelsOf(version))
      assert.equal(event.scores.values.length, event.scores.names.length)
      assert.deepEqual(event.labels, [`decided by ${version}`])
      const logit = version * versionStep + (number ?? 0) + (windows ?? 1) - 1
      assert.equal(event.scores.values[0], Math.fround(logit))
      return Buffer.from(JSON.stringify({ ...event.source, version }))
    },
    deadLetter: (message, _stage, error) => ({
      key: message.key,
      value: Buffer.from(JSON.stringify({ partition: message.partition, offset: message.offset })),
      headers: { reason: error.code },
    }),
  }
}

function tokensOf(text: string, version: number) {
  if (text.startsWith('poison')) {
    return { windows: [Int32Array.of(poisonToken, 0, 0, 0)], tokens: 4, truncated: false }
  }
  const [length = 3, count = 1, number = 0] = text.split(':').map(Number)
  const windows = Array.from({ length: count }, (_, index) => {
    const window = new Int32Array(Math.max(2, length - index))
    window[0] = version
    window[1] = number + ((index + 1) % count)
    return window
  })
  return { windows, tokens: length, truncated: false }
}
