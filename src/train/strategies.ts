import { LabelstreamError } from '../core/errors.ts'

/** What is trained, by the name `--strategy` takes. */
export interface Strategy {
  readonly name: string
  readonly trains: 'head' | 'all' | 'head-then-all' | 'one-model-per-label'
  /** Widths of the head's dense layers before the classifier. */
  readonly headHiddenSizes: readonly number[]
  readonly summary: string
}

const table = {
  'full-linear': { trains: 'all', headHiddenSizes: [], summary: 'encoder and a linear head' },
  'full-dense': {
    trains: 'all',
    headHiddenSizes: [256],
    summary: 'encoder, a dense layer and a linear head',
  },
  'frozen-linear': { trains: 'head', headHiddenSizes: [], summary: 'a linear head on the frozen encoder' },
  'frozen-dense': {
    trains: 'head',
    headHiddenSizes: [256],
    summary: 'a dense layer and a linear head on the frozen encoder',
  },
  'full-after-frozen': {
    trains: 'head-then-all',
    headHiddenSizes: [],
    summary: 'a linear head first, then everything',
  },
  'per-label': { trains: 'one-model-per-label', headHiddenSizes: [], summary: 'one binary model a label' },
} as const satisfies Record<string, Omit<Strategy, 'name'>>

export type StrategyName = keyof typeof table

export const strategyNames = Object.keys(table) as StrategyName[]

/** Looks a strategy up. Throws SETTING_INVALID naming those that there are. */
export function strategyOf(name: string): Strategy & { readonly name: StrategyName } {
  const known = strategyNames.find((candidate) => candidate === name)
  if (known !== undefined) return { name: known, ...table[known] }
  throw new LabelstreamError(
    'SETTING_INVALID',
    `strategy ${JSON.stringify(name)} is none of ${strategyNames.join(', ')}`,
  )
}
