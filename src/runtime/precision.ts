import { LabelstreamError } from '../core/errors.ts'
import type { ConcretePrecision, Precision } from './messages.ts'

/** What the graph can be built in today. */
const buildable: readonly ConcretePrecision[] = ['fp32']

/** The precision a model is served in. Throws SETTING_INVALID naming what works. */
export function choosePrecision(wanted: Precision): ConcretePrecision {
  if (wanted === 'auto') return 'fp32'
  if (buildable.includes(wanted)) return wanted
  throw new LabelstreamError(
    'SETTING_INVALID',
    `runtime.precision ${wanted} is not available yet: take ${['auto', ...buildable].join(' or ')}`,
  )
}
