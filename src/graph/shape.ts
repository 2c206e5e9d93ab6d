import { LabelstreamError } from '../core/errors.ts'

/**
 * A size that is known, or a symbolic one such as `batch`. Symbols may be products (`4*batch*sequence`, factors
 * sorted, number first) of plain names and of opaque atoms in brackets (`(batch+1)`). Equal strings are equal sizes.
 */
export type Dimension = number | string
export type Shape = readonly Dimension[]

/** The sizes on one line, `[batch, 384]`. */
export const shapeText = (shape: Shape): string => `[${shape.join(', ')}]`

export const shapeError = (message: string): LabelstreamError =>
  new LabelstreamError('INTERNAL', `graph: ${message}`)

/** The product of sizes; 1 for none. */
export function multiply(...sizes: Dimension[]): Dimension {
  let coefficient = 1
  const factors: string[] = []
  for (const size of sizes) {
    for (const factor of factorsOf(size)) {
      if (typeof factor === 'number') coefficient *= factor
      else factors.push(factor)
    }
  }
  return dimensionOf(coefficient, factors)
}

/** The number of elements of a shape. */
export const elementCount = (shape: Shape): Dimension => multiply(...shape)

/** `whole` / `part` where that is exact for every value of the symbols; undefined otherwise. */
export function divide(whole: Dimension, part: Dimension): Dimension | undefined {
  let coefficient = 1
  const factors: string[] = []
  for (const factor of factorsOf(whole)) {
    if (typeof factor === 'number') coefficient *= factor
    else factors.push(factor)
  }
  for (const factor of factorsOf(part)) {
    if (typeof factor === 'number') {
      if (factor === 0 || coefficient % factor !== 0) return undefined
      coefficient /= factor
    } else {
      const place = factors.indexOf(factor)
      if (place < 0) return undefined
      factors.splice(place, 1)
    }
  }
  return dimensionOf(coefficient, factors)
}

/** The sum of two sizes; symbolic sums become atoms. */
export function addSizes(a: Dimension, b: Dimension): Dimension {
  if (typeof a === 'number' && typeof b === 'number') return a + b
  if (a === 0) return b
  if (b === 0) return a
  return `(${a}+${b})`
}

/**
 * The shape of two operands broadcast against each other as in NumPy. A symbol against another symbol is refused:
 * nothing says that they are equal. Throws INTERNAL naming both shapes.
 */
export function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1
    const right = b[axis - rank + b.length] ?? 1
    if (left === right || right === 1) return left
    if (left === 1) return right
    throw shapeError(`${shapeText(a)} and ${shapeText(b)} do not broadcast`)
  })
}

/** An axis counted from the front. Throws INTERNAL when it is outside of the rank. */
export function normalAxis(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(axis) || normal < 0 || normal >= rank)
    throw shapeError(`axis ${axis} is outside of rank ${rank}`)
  return normal
}

/** The size along an axis; negative axes count from the end. */
export function sizeAt(shape: Shape, axis: number): Dimension {
  return shape[normalAxis(axis, shape.length)] as Dimension
}

/** The shape with one axis replaced by any number of sizes. */
export const replaceAxis = (shape: Shape, axis: number, sizes: Shape): Shape => [
  ...shape.slice(0, axis),
  ...sizes,
  ...shape.slice(axis + 1),
]

function dimensionOf(coefficient: number, factors: string[]): Dimension {
  if (coefficient === 0 || factors.length === 0) return coefficient
  const product = factors.sort().join('*')
  return coefficient === 1 ? product : `${coefficient}*${product}`
}

/** Splits a product at the stars outside of brackets. */
function factorsOf(size: Dimension): (number | string)[] {
  if (typeof size === 'number') return [size]
  const factors: string[] = []
  let depth = 0
  let factor = ''
  for (const character of size) {
    if (character === '(') depth++
    if (character === ')') depth--
    if (character === '*' && depth === 0) {
      factors.push(factor)
      factor = ''
    } else factor += character
  }
  factors.push(factor)
  return factors.map((text) => (/^\d+$/.test(text) ? Number(text) : text))
}
