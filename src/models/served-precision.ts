import { LabelstreamError } from '../core/errors.ts'
import type { Decision } from './decision.ts'
import type { Model } from './folder.ts'
import type { ClassifierManifest } from './manifest.ts'

/** Calibrators and thresholds fitted on the logits of the int8 graph, where a version brings them. */
export const int8DecisionFile = 'decision.int8.json'

/** What precision `auto` serves on a CPU: int8 when its scores were compared with fp32 and were found good enough. */
export const autoPrecisionOnCpu = ({ int8Check }: ClassifierManifest): 'fp32' | 'int8' =>
  int8Check?.passed === true ? 'int8' : 'fp32'

/** Thresholds belong to a precision: the model's own for this one where it has them, else those of decision.json. */
export const decisionFor = (model: Pick<Model, 'decision' | 'int8Decision'>, precision: string): Decision =>
  (precision === 'int8' ? model.int8Decision : undefined) ?? model.decision

/** Throws MODEL_CORRUPT naming `path` when the int8 decision is not one for the same labels in the same order. */
export function checkInt8Decision(int8: Decision, decision: Decision, path: string): void {
  const labels = decision.labels.map(({ label }) => label)
  const same = int8.labels.length === labels.length && int8.labels.every(({ label }, at) => label === labels[at])
  if (int8.precision === 'int8' && same) return
  throw new LabelstreamError('MODEL_CORRUPT', `${path} is not an int8 decision for the labels of decision.json`)
}
