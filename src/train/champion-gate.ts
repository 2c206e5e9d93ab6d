import { type Matrix, matrix } from '../evaluation/matrix.ts'
import { readChampion } from '../models/champion.ts'
import { openModel } from '../models/folder.ts'
import type { TextRunnerOptions } from '../models/text-runner.ts'
import { type Dataset, targetsOf } from './dataset.ts'
import { type Contender, type GateResult, compareWithChampion } from './gate.ts'
import { modelScores } from './model-scores.ts'

export interface GateOptions {
  /** The model's name: its champion is the gate. */
  readonly name: string
  readonly modelsFolder: string
  readonly runner: TextRunnerOptions
  readonly signal?: AbortSignal | undefined
  /** Of the rows, by a model that may be the champion: it does not score them twice. */
  readonly scored?: { readonly digest: string; readonly scores: Matrix }
}

/**
 * Lets the champion score the same rows and compares, on the labels that both have: new ones cannot be worse. Passes
 * without a champion, or when it shares no label. Throws what inference throws, and INTERRUPTED.
 */
export async function passGate(
  { name, modelsFolder, runner, signal, scored }: GateOptions,
  candidate: Contender,
  rows: Dataset,
  seed: number,
): Promise<GateResult> {
  const version = await readChampion(modelsFolder, name)
  if (version === undefined) return { passed: true, reasons: ['there is no champion to compare with'] }
  const champion = await openModel(`${name}@${version}`, modelsFolder)
  const shared = rows.labels.filter((label) => champion.labels.includes(label))
  if (shared.length === 0) {
    return { passed: true, reasons: [`the champion ${version} has other labels; nothing to compare`] }
  }
  const scores =
    scored?.digest === champion.digest
      ? scored.scores
      : await modelScores(
          champion,
          rows.rows.map(({ text }) => text),
          runner,
          { signal },
        )
  const ours = shared.map((label) => rows.labels.indexOf(label))
  const theirs = shared.map((label) => champion.labels.indexOf(label))
  const result = compareWithChampion(
    columnsOf(candidate, ours),
    columnsOf(
      {
        scores,
        thresholds: champion.decision.labels.map(({ threshold }) => threshold),
      },
      theirs,
    ),
    matrixColumns(targetsOf(rows), ours),
    seed,
  )
  return { ...result, reasons: [...result.reasons, ...differences(shared, rows.labels, champion.labels)] }
}

/** What was left out of the comparison, in a sentence. */
function differences(
  shared: readonly string[],
  ours: readonly string[],
  theirs: readonly string[],
): string[] {
  const added = ours.length - shared.length
  const removed = theirs.length - shared.length
  if (added === 0 && removed === 0) return []
  return [
    `compared on the labels that both have (${shared.length}); new: ${added}, no longer there: ${removed}`,
  ]
}

const columnsOf = ({ scores, thresholds }: Contender, places: readonly number[]): Contender => ({
  scores: matrixColumns(scores, places),
  thresholds: places.map((place) => thresholds[place] ?? 0.5),
})

/** Some columns, in the order of their places. */
function matrixColumns({ rows, columns, values }: Matrix, places: readonly number[]): Matrix {
  const chosen = new Float32Array(rows * places.length)
  for (let row = 0; row < rows; row++) {
    places.forEach((place, column) => {
      chosen[row * places.length + column] = values[row * columns + place] ?? NaN
    })
  }
  return matrix(rows, places.length, chosen)
}
