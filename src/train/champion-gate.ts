import type { Matrix } from '../evaluation/matrix.ts'
import { readChampion } from '../models/champion.ts'
import { openModel } from '../models/folder.ts'
import { decideAll } from '../models/score-matrix.ts'
import { TextRunner, type TextRunnerOptions } from '../models/text-runner.ts'
import { type Dataset, targetsOf } from './dataset.ts'
import { type Contender, type GateResult, compareWithChampion } from './gate.ts'

/** Lets the champion score the same rows and compares. Passes without a champion, or when the labels changed. */
export async function passGate(
  { name, modelsFolder, runner }: { name: string; modelsFolder: string; runner: TextRunnerOptions },
  candidate: Contender,
  rows: Dataset,
  seed: number,
): Promise<GateResult> {
  const version = await readChampion(modelsFolder, name)
  if (version === undefined) return { passed: true, reasons: ['there is no champion to compare with'] }
  const champion = await openModel(`${name}@${version}`, modelsFolder)
  const places = rows.labels.map((label) => champion.labels.indexOf(label))
  if (champion.labels.length !== rows.labels.length || places.includes(-1)) {
    return { passed: true, reasons: [`the champion ${version} has other labels; nothing to compare`] }
  }
  const texts = await TextRunner.start(champion, 'logits', { ...runner, precision: 'fp32' })
  const logits = await texts.run(rows.rows.map(({ text }) => text)).finally(() => texts.close())
  const { scores } = decideAll(champion.decision, logits.values)
  const thresholds = champion.decision.labels.map(({ threshold }) => threshold)
  return compareWithChampion(
    candidate,
    {
      scores: columnsOf(scores, places),
      thresholds: places.map((place) => thresholds[place] ?? 0.5),
    },
    targetsOf(rows),
    seed,
  )
}

/** The columns in another order: labels are compared by name. */
function columnsOf(scores: Matrix, places: readonly number[]): Matrix {
  const values = new Float32Array(scores.values.length)
  for (let row = 0; row < scores.rows; row++) {
    places.forEach((place, column) => {
      values[row * scores.columns + column] = scores.values[row * scores.columns + place] ?? NaN
    })
  }
  return { ...scores, values }
}
