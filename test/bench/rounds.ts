import { median } from '../../src/commands/percentile.ts'

export interface Contender<T> {
  readonly name: string
  readonly run: (round: number) => Promise<T>
}

/** One result a round. */
export type Results<T> = ReadonlyMap<string, readonly T[]>

/**
 * Runs all contenders in turn, round after round (A B C A B C), so that what else the machine does hits all of them.
 */
export async function inTurn<T>(
  contenders: readonly Contender<T>[],
  rounds: number,
  onResult: (name: string, round: number, result: T) => void = () => undefined,
): Promise<Results<T>> {
  const results = new Map<string, T[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const { name, run } of contenders) {
      const result = await run(round)
      results.get(name)?.push(result)
      onResult(name, round, result)
    }
  }
  return results
}

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export const spreadOf = (values: readonly number[]): Spread => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
})
