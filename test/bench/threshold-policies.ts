/**
 * Ways to choose thresholds, on rows that they were not chosen on: calibrators and thresholds are fitted on one half
 * of a dev part and decide the other, ten times both ways round.
 * `node build/test/bench/threshold-policies.js PREDICTIONS.jsonl DATA.jsonl`, the first from `evaluate --predictions`.
 */
import { readFileSync } from 'node:fs'
import { table } from '../../src/commands/output.ts'
import { seededRandom } from '../../src/core/random.ts'
import { calibrate, fitCalibrators, plattProbabilities } from '../../src/evaluation/calibrators.ts'
import { type Matrix, matrix, rowsOf } from '../../src/evaluation/matrix.ts'
import { evaluateScores } from '../../src/evaluation/metrics.ts'
import { chooseShrinkage } from '../../src/evaluation/threshold-shrinkage.ts'
import { type ThresholdPolicy, type TunedPolicy, chooseThresholds } from '../../src/evaluation/thresholds.ts'
import { datasetOf, targetsOf } from '../../src/train/dataset.ts'
import { readJsonLines } from '../../src/train/json-lines.ts'

const repeats = 10
const f1 = { kind: 'f-beta', beta: 1, minPositives: 5, shrinkage: 0 } as const satisfies TunedPolicy

const [predictionsPath = '', dataPath = ''] = process.argv.slice(2)
const { logits, labels } = readPredictions(predictionsPath)
const targets = targetsOf(datasetOf(await readJsonLines(dataPath), labels))

const ways: Record<string, (logits: Matrix, targets: Matrix) => ThresholdPolicy> = {
  '0.5 for every label': () => ({ kind: 'fixed', value: 0.5 }),
  'one for all labels': () => ({ ...f1, minPositives: Infinity }),
  "the label's own best": () => f1,
  'as calibrated scores expect': () => ({ ...f1, shrinkage: Infinity }),
  'between, by cross-validation': (fitLogits, fitTargets) => ({
    ...f1,
    shrinkage: chooseShrinkage(fitLogits, fitTargets, 'temperature', f1).shrinkage,
  }),
}

const random = seededRandom(11)
const sums = new Map(Object.keys(ways).map((way) => [way, { macro: 0, micro: 0 }]))
for (let repeat = 0; repeat < repeats; repeat++) {
  const order = random.shuffle(Array.from({ length: logits.rows }, (_, row) => row))
  const halves = [order.slice(0, logits.rows >> 1), order.slice(logits.rows >> 1)] as const
  for (const [fit, held] of [halves, halves.toReversed()] as [number[], number[]][]) {
    const [fitLogits, fitTargets] = [rowsOf(logits, fit), rowsOf(targets, fit)]
    const calibrators = fitCalibrators(fitLogits, fitTargets, 'temperature')
    const scores = calibrate(fitLogits, calibrators)
    for (const [way, policyOf] of Object.entries(ways)) {
      const policy = policyOf(fitLogits, fitTargets)
      const chosen = chooseThresholds(scores, fitTargets, policy, plattProbabilities(fitLogits, fitTargets))
      const quality = evaluateScores(
        calibrate(rowsOf(logits, held), calibrators),
        rowsOf(targets, held),
        labels,
        chosen.map(({ threshold }) => threshold),
      )
      const sum = sums.get(way) ?? { macro: 0, micro: 0 }
      sum.macro += quality.macroF1 / (2 * repeats)
      sum.micro += quality.microF1 / (2 * repeats)
    }
  }
}
process.stdout.write(
  `${table(
    ['threshold', 'macro-F1', 'micro-F1'],
    [...sums].map(([way, { macro, micro }]) => [way, macro.toFixed(4), micro.toFixed(4)]),
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
