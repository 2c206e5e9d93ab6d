import { LabelstreamError } from '../core/errors.ts'
import type { ClassifierManifest } from '../models/manifest.ts'
import type { GateResult } from '../train/gate.ts'
import type { CommandContext, CommandOption } from './command.ts'

/** Of commands that write a version. */
export const promoteOption: CommandOption = {
  flags: '--promote',
  help: 'make the version champion when the gate lets it through',
}

/** How int8 compares with fp32, in a sentence. */
export const int8Sentence = (check: NonNullable<ClassifierManifest['int8Check']>): string =>
  `int8: macro-F1 ${check.macroF1.toFixed(3)} (${check.macroF1Difference.toFixed(4)} to fp32), scores ${check.meanScoreDifference.toFixed(4)} off on average; ${check.passed ? 'auto serves it on CPUs' : 'not good enough, auto stays fp32'}`

/** Says where the version is. Throws GATE_REFUSED with the reasons where the gate did not let it through. */
export function announceVersion(
  { print }: Pick<CommandContext, 'print'>,
  name: string,
  {
    version,
    path,
    promoted,
    gate,
  }: {
    readonly version: string
    readonly path: string
    readonly promoted: boolean
    readonly gate: GateResult
  },
): void {
  print(`\n${name}@${version}${promoted ? ' is the champion now' : ''}: ${path}`)
  if (!gate.passed) throw new LabelstreamError('GATE_REFUSED', gate.reasons.join('; '))
}
