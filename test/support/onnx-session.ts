import { InferenceSession, Tensor } from 'onnxruntime-node'

/** Runs an ONNX model once on the CPU, in one thread. Feeds and results by name; results as plain arrays of numbers. */
export async function runOnce(
  model: Uint8Array,
  feeds: Record<string, Tensor>,
): Promise<Record<string, { dims: readonly number[]; values: number[] }>> {
  const session = await InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  try {
    const results = await session.run(feeds)
    return Object.fromEntries(
      Object.entries(results).map(([name, { dims, data }]) => [
        name,
        { dims, values: Array.from(data as Float32Array | BigInt64Array, Number) },
      ]),
    )
  } finally {
    await session.release()
  }
}

/** A matrix of integers as an int32 tensor. */
export const int32Matrix = (rows: readonly (readonly number[])[]): Tensor =>
  new Tensor('int32', Int32Array.from(rows.flat()), [rows.length, rows[0]?.length ?? 0])

/** The largest absolute difference; NaN and differing lengths count as infinity. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity
  let largest = 0
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs((actual[i] as number) - (expected[i] as number))
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference
  }
  return largest
}
