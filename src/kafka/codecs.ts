import { decompress as zstdDecompress } from 'fzstd'
import kafkajs from 'kafkajs'
import snappyCodec from 'kafkajs-snappy'
import { compressFrame, decompressFrame } from 'lz4-napi'
import { messageOf } from '../core/errors.ts'
import { CorruptRecordsError } from './errors.ts'

/** How kafkajs calls a codec: records come in as its encoder or as the raw bytes of a batch. */
export interface Codec {
  readonly compress: (encoder: { readonly buffer: Buffer }) => Promise<Buffer>
  readonly decompress: (bytes: Buffer) => Promise<Buffer>
}

const snappy = snappyCodec()

/** Every compression that Kafka knows can be read; none of them needs a compiler to install. */
export const codecs: { readonly snappy: Codec; readonly lz4: Codec; readonly zstd: Codec } = {
  snappy: named('snappy', {
    compress: (encoder) => snappy.compress(encoder),
    decompress: async (bytes) => Buffer.from(await snappy.decompress(bytes)),
  }),
  lz4: named('lz4', {
    compress: (encoder) => compressFrame(encoder.buffer),
    decompress: (bytes) => decompressFrame(bytes),
  }),
  zstd: named('zstd', {
    compress: () => Promise.reject(new Error('writing zstd is not supported')),
    decompress: (bytes) => Promise.resolve(viewOf(zstdDecompress(bytes))),
  }),
}

/** Teaches kafkajs the codecs it lacks (it has gzip). They are global to it; doing it twice is harmless. */
export function registerCodecs(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs
  CompressionCodecs[CompressionTypes.Snappy] = () => codecs.snappy
  CompressionCodecs[CompressionTypes.LZ4] = () => codecs.lz4
  CompressionCodecs[CompressionTypes.ZSTD] = () => codecs.zstd
}

function named(name: string, codec: Codec): Codec {
  return {
    compress: codec.compress,
    decompress: async (bytes) => {
      try {
        return await codec.decompress(bytes)
      } catch (error) {
        throw new CorruptRecordsError(`a record batch says it is ${name} and is not: ${messageOf(error)}`)
      }
    },
  }
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
