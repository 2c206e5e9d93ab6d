import { LabelstreamError } from '../core/errors.ts'
import type { ConcretePrecision, ConcreteProvider, SessionRequest } from './messages.ts'

/**
 * The precision that a model is served in on a provider. `auto` is fp32, and on the CPU what the model was checked
 * in (`autoOnCpu`): there int8 is two to three times as fast. Throws SETTING_INVALID for int8 on a graphics
 * processor, which has no kernel for it.
 */
export function precisionOn(
  provider: ConcreteProvider,
  { precision, autoOnCpu }: Pick<SessionRequest, 'precision' | 'autoOnCpu'>,
): ConcretePrecision {
  if (precision === 'auto') return provider === 'cpu' ? autoOnCpu : 'fp32'
  if (precision === 'int8' && provider !== 'cpu') {
    throw new LabelstreamError('SETTING_INVALID', 'runtime.precision int8 is for the CPU')
  }
  return precision
}

/**
 * The precision of a graph that is stored in one. Throws SETTING_INVALID where another is asked for, and for int8 on a
 * graphics processor.
 */
export function storedPrecisionOn(
  provider: ConcreteProvider,
  stored: ConcretePrecision,
  wanted: SessionRequest['precision'],
): ConcretePrecision {
  if (wanted === 'auto' || wanted === stored) {
    return precisionOn(provider, { precision: stored, autoOnCpu: 'fp32' })
  }
  throw new LabelstreamError(
    'SETTING_INVALID',
    `runtime.precision is ${wanted}, and the model is a graph in ${stored}, which is served as it is: set auto or ${stored}`,
  )
}
