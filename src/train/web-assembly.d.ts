/** What simd-arithmetic.ts takes of Node's WebAssembly: neither the language's own types nor Node's have it. */
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer
  }
  function instantiate(bytes: Uint8Array): Promise<{ readonly instance: { readonly exports: unknown } }>
}
