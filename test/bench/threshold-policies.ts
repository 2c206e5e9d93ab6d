/**
 * Ways to choose thresholds, on rows that they were not chosen on: calibrators and thresholds are fitted on one half
 * of a dev part and decide the other, ten times both ways round; or on `ROWS` of it and decide all others, twenty times.
 * Beside it the flattering figure: the whole part, on itself.
 * `node build/test/bench/threshold-policies.js PREDICTIONS.jsonl DATA.jsonl [ROWS]`, the first from `evaluate --predictions`.
 */
import { readFileSync } from 'node:fs'
import { table } from '../../src/commands/output.ts'
import { seededRandom } from '../../src/core/random.ts'
import { calibrate, expectedProbabilities, fitCalibrators } from '../../src/evaluation/calibrators.ts'
import { type Matrix, matrix, rowsOf } from '../../src/evaluation/matrix.ts'
import { evaluateScores } from '../../src/evaluation/metrics.ts'
import { chooseShrinkage } from '../../src/evaluation/threshold-shrinkage.ts'
import { type ThresholdPolicy, type TunedPolicy, chooseThresholds } from '../../src/evaluation/thresholds.ts'
import { datasetOf, targetsOf } from '../../src/train/dataset.ts'
import { readJsonLines } from '../../src/train/json-lines.ts'

const f1 = { kind: 'f-beta', beta: 1, minPositives: 5, shrinkage: 0 } as const satisfies TunedPolicy

const [predictionsPath = '', dataPath = '', fitRows] = process.argv.slice(2)
const { logits, labels } = readPredictions(predictionsPath)
const targets = targetsOf(datasetOf(await readJsonLines(dataPath), labels))

const ways: Record<string, (logits: Matrix, targets: Matrix) => ThresholdPolicy> = {
  '0.5 for every label': () => ({ kind: 'fixed', value: 0.5 }),
  'one for all labels': () => ({ ...f1, minPositives: Infinity }),
  "the label's own best": () => f1,
  'as calibrated scores expect': () => ({ ...f1, shrinkage: Infinity }),
  'between, by cross-validation (default)': (fitLogits, fitTargets) => ({
    ...f1,
    shrinkage: chooseShrinkage(fitLogits, fitTargets, 'temperature', f1).shrinkage,
  }),
}

/** Of thresholds that are chosen on the rows `fit`, on the rows `held`. */
function qualityOf(
  policyOf: (typeof ways)[string],
  fit: readonly number[],
  held: readonly number[],
): Quality {
  const [fitLogits, fitTargets] = [rowsOf(logits, fit), rowsOf(targets, fit)]
  const calibrators = fitCalibrators(fitLogits, fitTargets, 'temperature')
  const chosen = chooseThresholds(
    calibrate(fitLogits, calibrators),
    fitTargets,
    policyOf(fitLogits, fitTargets),
    expectedProbabilities(fitLogits, fitTargets),
  )
  const { macroF1, microF1 } = evaluateScores(
    calibrate(rowsOf(logits, held), calibrators),
    rowsOf(targets, held),
    labels,
    chosen.map(({ threshold }) => threshold),
  )
  return { macroF1, microF1 }
}

interface Quality {
  readonly macroF1: number
  readonly microF1: number
}

const fitted = fitRows === undefined ? logits.rows >> 1 : Number(fitRows)
if (!(fitted > 0 && fitted < logits.rows)) {
  throw new Error(`ROWS is a number from 1 to ${logits.rows - 1}, not ${fitRows}`)
}
const repeats = fitRows === undefined ? 10 : 20
const random = seededRandom(11)
const all = Array.from({ length: logits.rows }, (_, row) => row)
const splits = Array.from({ length: repeats }, (): [number[], number[]][] => {
  const order = random.shuffle([...all])
  const split: [number[], number[]] = [order.slice(0, fitted), order.slice(fitted)]
  return fitRows === undefined ? [split, [split[1], split[0]]] : [split]
}).flat()
const mean = (values: readonly number[]): string =>
  (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(4)
process.stdout.write(
  `${table(
    ['threshold', 'macro-F1, other rows', 'micro-F1', 'macro-F1, where chosen', 'micro-F1'],
    Object.entries(ways).map(([way, policyOf]) => {
      const held = splits.map(([fit, other]) => qualityOf(policyOf, fit, other))
      const same = qualityOf(policyOf, all, all)
      return [
        way,
        mean(held.map(({ macroF1 }) => macroF1)),
        mean(held.map(({ microF1 }) => microF1)),
        same.macroF1.toFixed(4),
        same.microF1.toFixed(4),
      ]
    }),
  )}\n`,
)

/** Scores back as logits: their calibration is fitted anew. */
function readPredictions(path: string): { labels: string[]; logits: Matrix } {
  const rows = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { scores: Record<string, number> }).scores)
  const names = Object.keys(rows[0] ?? {})
  const values = rows.flatMap((scores) => names.map((name) => logit(scores[name] ?? NaN)))
  return { labels: names, logits: matrix(rows.length, names.length, Float32Array.from(values)) }
}

function logit(score: number): number {
  const inside = Math.min(Math.max(score, 1e-7), 1 - 1e-7)
  return Math.log(inside / (1 - inside))
}
