import * as ort from 'onnxruntime-node'
import type { Graph } from '../../src/graph/builder.ts'
import { writeOnnx } from '../../src/graph/onnx.ts'

export interface Array32 {
  readonly shape: readonly number[]
  readonly values: Float32Array
}

/** A graph in a session of ONNX Runtime: float inputs by name to float outputs by name. */
export async function graphRunner(
  graph: Graph,
): Promise<(inputs: Readonly<Record<string, Array32>>) => Promise<Record<string, Float32Array>>> {
  const session = await ort.InferenceSession.create(writeOnnx(graph), {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  return async (inputs) => {
    const feeds = Object.entries(inputs).map(([name, { shape, values }]) => [
      name,
      new ort.Tensor('float32', values, shape),
    ])
    const results = await session.run(Object.fromEntries(feeds) as ort.InferenceSession.FeedsType)
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => [name, tensor.data as Float32Array]),
    )
  }
}
