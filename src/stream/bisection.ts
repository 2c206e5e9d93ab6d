import { asLabelstreamError, LabelstreamError } from '../core/errors.ts'
import type { Position } from '../formats/message.ts'

/** What to do with rows that failed. */
export type NextStep = 'retry' | 'halve' | 'condemn'

/**
 * What follows when rows fail with nothing else running. The batch as a whole was tried once more already, because
 * a crash or a hang is most often not the data's fault: so it is halved until one row is left. A row that fails
 * alone twice is suspect: it is condemned when a known-good row still succeeds.
 */
export function nextStep(rows: number, failuresAlone: number): NextStep {
  if (rows > 1) return 'halve'
  return failuresAlone < 2 ? 'retry' : 'condemn'
}

export interface Isolation<Item, Result> {
  /** Handles the rows; rejects when any of them cannot be handled. Nothing else runs meanwhile. */
  readonly run: (items: readonly Item[]) => Promise<Result>
  /** The same for a known-good row. */
  readonly probe: () => Promise<unknown>
  readonly done: (items: readonly Item[], result: Result) => void
  /** This row, and not the infrastructure, is at fault. */
  readonly condemned: (item: Item, error: LabelstreamError) => void
  readonly retried: (error: LabelstreamError) => void
  /** True when the rest need not be tried any more (the epoch ended). */
  readonly cancelled: () => boolean
}

const probes = 3

/**
 * Finds the rows that cannot be handled among rows that failed once, tries them again, and splits where that fails.
 * Rejects with the failure itself when known-good rows fail three times in a row too: then it is not the data, and
 * nothing may be dead-lettered for it.
 */
export async function isolate<Item, Result>(
  items: readonly Item[],
  effects: Isolation<Item, Result>,
): Promise<void> {
  const open: { items: readonly Item[]; failuresAlone: number }[] = [{ items, failuresAlone: 0 }]
  let knownHealthy = false
  for (let part = open.pop(); part !== undefined && !effects.cancelled(); part = open.pop()) {
    let result: Result
    try {
      result = await effects.run(part.items)
    } catch (thrown) {
      const error = asLabelstreamError(thrown)
      effects.retried(error)
      const failuresAlone = part.failuresAlone + 1
      const step = nextStep(part.items.length, failuresAlone)
      // Asked before the first split as well: halving a large batch on a dead accelerator takes many deadlines.
      if (step === 'condemn' || (step === 'halve' && !knownHealthy))
        await requireHealthy(effects.probe, error)
      knownHealthy = true
      if (step === 'retry') {
        open.push({ items: part.items, failuresAlone })
      } else if (step === 'halve') {
        const middle = part.items.length >>> 1
        open.push({ items: part.items.slice(middle), failuresAlone: 0 })
        open.push({ items: part.items.slice(0, middle), failuresAlone: 0 })
      } else {
        for (const item of part.items) effects.condemned(item, error)
      }
      continue
    }
    effects.done(part.items, result)
  }
}

async function requireHealthy(probe: () => Promise<unknown>, error: LabelstreamError): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await probe()
      return
    } catch {
      if (attempt === probes) throw error
    }
  }
}

/** The error of a condemned text: names the message and what its attempts ended with, never the text. */
export function notScorable(where: Position, cause: LabelstreamError): LabelstreamError {
  return new LabelstreamError(
    'TEXT_NOT_SCORABLE',
    `the text of ${where.topic}/${where.partition}/${where.offset} fails alone (${cause.code}) while a known-good text does not`,
    { cause },
  )
}
