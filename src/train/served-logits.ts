import type { Matrix } from '../evaluation/matrix.ts'
import { servedWindows } from '../models/text-runner.ts'
import { TokenizerPool } from '../text/tokenizer-pool.ts'
import { type TextPart, type Trained, type TrainingRun, joinParts } from './training-run.ts'
import { logitsOfUnwritten } from './unwritten-model.ts'

/**
 * What was trained, with the logits that serving gives. Training looks at the first window of a text, serving takes
 * the maximum over all of them: calibration, thresholds, metrics and golden scores must be of what is served, so
 * the dev, test and golden texts of several windows are scored again with the version's own files.
 * Throws what inference throws.
 */
export async function withServedLogits(
  trained: Trained,
  files: ReadonlyMap<string, Uint8Array | string>,
  run: TrainingRun,
): Promise<Trained> {
  const { texts, rangeOf } = joinParts(run.prepared)
  const [firstScored] = rangeOf('dev')
  const long = await longTexts(texts.slice(firstScored), run)
  if (long.length === 0) return trained
  const places = long.map((place) => firstScored + place)
  const logits = await logitsOfUnwritten(
    { files, maxTokens: run.maxTokens },
    places.map((place) => texts[place] ?? ''),
    run.runner,
  )
  const served = (part: TextPart, before: Matrix): Matrix => {
    const [start, end] = rangeOf(part)
    const values = before.values.slice()
    const { columns } = before
    places.forEach((place, row) => {
      if (place < start || place >= end) return
      values.set(logits.values.subarray(row * columns, (row + 1) * columns), (place - start) * columns)
    })
    return { ...before, values }
  }
  return {
    ...trained,
    devLogits: served('dev', trained.devLogits),
    testLogits: served('test', trained.testLogits),
    goldenLogits: served('golden', trained.goldenLogits),
  }
}

/** The places of the texts that have more than one window when they are served. */
async function longTexts(texts: readonly string[], run: TrainingRun): Promise<number[]> {
  const { runner, maxTokens, encoder } = run
  const tokenizer = await TokenizerPool.start({
    folder: encoder.folder,
    threads: runner.tokenizerThreads,
    ...servedWindows(maxTokens, runner),
  })
  const tokenized = await tokenizer.tokenize(texts).finally(() => tokenizer.close())
  return tokenized.flatMap(({ windows }, place) => (windows.length > 1 ? [place] : []))
}
