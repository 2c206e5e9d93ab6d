/** A reproducible stream of random numbers. */
export interface Random {
  /** Uniform in [0, 1). */
  readonly next: () => number
  /** Uniform integer in [0, below). */
  readonly integer: (below: number) => number
  /** Standard normal. */
  readonly normal: () => number
  /** Shuffles in place (Fisher-Yates) and returns the same array. */
  readonly shuffle: <T>(items: T[]) => T[]
}

/** sfc32 (Chris Doty-Humphrey, PractRand), seeded from one integer and mixed by 15 empty rounds. */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = seed | 0
  let counter = 1
  const next32 = (): number => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return sum >>> 0
  }
  for (let round = 0; round < 15; round++) next32()

  const next = (): number => next32() / 4_294_967_296
  const integer = (below: number): number => Math.floor(next() * below)
  return {
    next,
    integer,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    shuffle: (items) => {
      for (let last = items.length - 1; last > 0; last--) {
        const other = integer(last + 1)
        const held = items[last] as (typeof items)[number]
        items[last] = items[other] as (typeof items)[number]
        items[other] = held
      }
      return items
    },
  }
}
