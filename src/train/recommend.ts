/** What a choice between strategies looks at. */
export interface Choice {
  readonly name: string
  readonly macroF1: number
  readonly trainSeconds: number
  readonly scoreTextsPerSecond: number
}

/** Scoring speeds nearer than this are the same: runs on one machine differ by as much. */
const sameSpeed = 0.7

/** A macro-F1 nearer than this is as good. On few rows nothing is significantly worse, so that alone does not say it. */
const sameQuality = 0.01

/**
 * The strategy to take and why, in a sentence. The best macro-F1 wins unless others are as good: within 0.01 of it and not
 * significantly worse (`isWorse(best, other)`). Of those, the ones that score about as fast as the fastest, and of these the
 * one that trains in the least time. Throws RangeError for no choices.
 */
export function recommend(
  choices: readonly Choice[],
  isWorse: (best: string, other: string) => boolean,
): { readonly name: string; readonly why: string } {
  const [best, ...rest] = [...choices].sort((a, b) => b.macroF1 - a.macroF1)
  if (best === undefined) throw new RangeError('there is nothing to choose from')
  if (rest.length === 0)
    return { name: best.name, why: `${best.name} is the only strategy that was trained.` }
  const equals = rest.filter(
    (other) => best.macroF1 - other.macroF1 <= sameQuality && !isWorse(best.name, other.name),
  )
  if (equals.length === 0) {
    const next = rest[0] ?? best
    const sure = isWorse(best.name, next.name)
    return {
      name: best.name,
      why: `${best.name} has the highest macro-F1, ${shown(best.macroF1)}, ${sure ? 'significantly above' : 'above'} the next, ${next.name} with ${shown(next.macroF1)}${sure ? '' : ', which on these rows may be chance'}.`,
    }
  }
  const good = [best, ...equals]
  const fastest = Math.max(...good.map(({ scoreTextsPerSecond }) => scoreTextsPerSecond))
  const [choice = best] = good
    .filter(({ scoreTextsPerSecond }) => scoreTextsPerSecond >= sameSpeed * fastest)
    .sort((a, b) => a.trainSeconds - b.trainSeconds)
  if (choice.name === best.name) {
    const others = equals.map(({ name }) => name).join(' and ')
    return {
      name: best.name,
      why: `${best.name} has the highest macro-F1, ${shown(best.macroF1)}, and costs less than ${others}, as good on these rows.`,
    }
  }
  return {
    name: choice.name,
    why: `${choice.name} is as good as ${best.name} on these rows (macro-F1 ${shown(choice.macroF1)} against ${shown(best.macroF1)}) and ${cheaper(choice, best)}.`,
  }
}

function cheaper(choice: Choice, best: Choice): string {
  return choice.trainSeconds < best.trainSeconds
    ? `trains in ${Math.round(choice.trainSeconds)} s instead of ${Math.round(best.trainSeconds)} s`
    : `scores ${Math.round(choice.scoreTextsPerSecond)} texts/s instead of ${Math.round(best.scoreTextsPerSecond)}`
}

const shown = (value: number): string => value.toFixed(3)
