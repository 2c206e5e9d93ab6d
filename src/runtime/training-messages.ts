/** A float32 array with its shape, as it travels between processes. */
export interface FloatArray {
  readonly shape: readonly number[]
  readonly values: Float32Array
}

export type FloatArrays = Readonly<Record<string, FloatArray>>

/** What the training process is asked. Every request is answered once, in order. */
export type TrainingRequest =
  | {
      readonly kind: 'start'
      /** ONNX file of one optimiser step. */
      readonly step: Uint8Array
      /** ONNX file of the forward pass alone. */
      readonly forward: Uint8Array
      readonly state: FloatArrays
      readonly threads: number
    }
  | { readonly kind: 'steps'; readonly batches: readonly FloatArrays[] }
  | { readonly kind: 'forward'; readonly feeds: FloatArrays }
  | { readonly kind: 'state'; readonly names: readonly string[] }

export type TrainingReply =
  | { readonly kind: 'started' }
  | { readonly kind: 'losses'; readonly losses: Float32Array }
  | { readonly kind: 'result'; readonly result: FloatArray }
  | { readonly kind: 'state'; readonly state: FloatArrays; readonly peakMemoryBytes: number }
  | { readonly kind: 'failed'; readonly message: string }
