declare module 'kafkajs-snappy' {
  /** The codec factory of kafkajs-snappy 1.1.0, which ships no types. */
  export default function snappyCodec(): {
    compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>
    decompress(bytes: Buffer): Promise<Uint8Array>
  }
}
