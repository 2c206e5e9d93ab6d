import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '../../src/core/random.ts'

/** What one cell of the table varies, and all that it holds. */
export interface GrowthCell {
  readonly axis: GrowthAxis
  /** As the table shows it. */
  readonly value: string
  readonly members: number
  /** Inference processes of each member, and threads of each of these. */
  readonly processes: number
  readonly threads: number
  readonly partitions: number
  readonly labels: number
  /** Length of every text in tokens, special ones included; undefined for texts as they come. */
  readonly tokens: number | undefined
}

export type GrowthAxis = 'cores' | 'tokens' | 'labels' | 'partitions' | 'members'

export const growthAxes: readonly GrowthAxis[] = ['cores', 'tokens', 'labels', 'partitions', 'members']

/** Cores that a cell can use. */
export const coresOf = (cell: Pick<GrowthCell, 'members' | 'processes' | 'threads'>): number =>
  cell.members * cell.processes * cell.threads

/** The cells of the chosen axes; what an axis does not vary is as in `base`. */
export function growthCells(axes: readonly GrowthAxis[], cores: number): readonly GrowthCell[] {
  const base = { members: 1, processes: cores, threads: 1, partitions: 4, labels: 28, tokens: undefined }
  const cells: Readonly<Record<GrowthAxis, readonly Omit<GrowthCell, 'axis'>[]>> = {
    cores: [
      { ...base, value: '1 inference process, 1 thread', processes: 1 },
      { ...base, value: `1 inference process, ${cores} threads`, processes: 1, threads: cores },
      { ...base, value: `${cores} inference processes, 1 thread each` },
      { ...base, value: `${cores} members with one of them each`, members: cores, processes: 1 },
    ],
    tokens: [8, 16, 32, 64, 128, 256, 512].map((tokens) => ({ ...base, value: String(tokens), tokens })),
    labels: [5, 28, 100, 300, 1_000].map((labels) => ({ ...base, value: String(labels), labels })),
    partitions: [1, 4, 16, 64].map((partitions) => ({ ...base, value: String(partitions), partitions })),
    // one process of one thread each: what a group of small pods does
    members: [1, 2, 3, 4].map((members) => ({
      ...base,
      value: String(members),
      members,
      processes: 1,
      partitions: 12,
    })),
  }
  return axes.flatMap((axis) => cells[axis].map((cell) => ({ axis, ...cell })))
}

/** Random texts of exactly so many tokens under a WordPiece tokenizer: words that are one token each. */
export function textsOfLength(modelFolder: string, tokens: number, count: number): string[] {
  const { model } = JSON.parse(readFileSync(join(modelFolder, 'tokenizer.json'), 'utf8')) as {
    model: { vocab: Readonly<Record<string, number>> }
  }
  const words = Object.keys(model.vocab).filter((word) => /^[a-z]{3,10}$/.test(word))
  const random = seededRandom(tokens)
  const specialTokens = 2
  return Array.from({ length: count }, () =>
    Array.from({ length: tokens - specialTokens }, () => words[random.integer(words.length)]).join(' '),
  )
}
