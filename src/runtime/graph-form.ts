import type { GraphForm } from '../encoders/model.ts'
import type { ConcretePrecision, ConcreteProvider, GraphKind } from './messages.ts'

/** A graph to try on a provider. */
export interface GraphCandidate {
  readonly graph: GraphKind
  readonly form: GraphForm
}

/**
 * The forms of a model's graph to try on a provider, in order: what is asked for first, then what is plainer. The CPU has
 * a form of its own in every precision, and other providers than CUDA have kernels for ONNX's own operators only.
 */
export function graphCandidates(
  provider: ConcreteProvider,
  precision: ConcretePrecision,
  wanted: GraphKind,
): readonly GraphCandidate[] {
  if (provider === 'cpu') return [{ graph: 'plain', form: 'served' }]
  const plain = { graph: 'plain', form: 'stepwise' } as const
  if (provider !== 'cuda' || precision === 'int8' || wanted === 'plain') return [plain]
  const joined = { graph: 'joined', form: 'joined' } as const
  return wanted === 'joined' ? [joined, plain] : [{ graph: 'packed', form: 'packed' }, joined, plain]
}
