import { promisify } from 'node:util'
import { gzip, unzip } from 'node:zlib'
import { Decompress as ZstdStream } from 'fzstd'
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

/**
 * Most bytes that a record batch may unpack to; a thousand times what a broker takes packed. A producer's megabyte of
 * zeros would otherwise become gigabytes here. LZ4 needs no check: it makes at most 255 bytes of one.
 */
const maxBatchBytes = 268_435_456

/** Every compression that Kafka knows can be read; none of them needs a compiler to install. */
export const codecs: {
  readonly gzip: Codec
  readonly snappy: Codec
  readonly lz4: Codec
  readonly zstd: Codec
} = {
  gzip: named('gzip', {
    compress: (encoder) => promisify(gzip)(encoder.buffer),
    decompress: (bytes) => promisify(unzip)(bytes, { maxOutputLength: maxBatchBytes }),
  }),
  snappy: named('snappy', {
    compress: (encoder) => snappy.compress(encoder),
    decompress: async (bytes) => {
      checkUnpackedSize(snappyUnpackedBytes(bytes))
      return Buffer.from(await snappy.decompress(bytes))
    },
  }),
  lz4: named('lz4', {
    compress: (encoder) => compressFrame(encoder.buffer),
    decompress: (bytes) => decompressFrame(bytes),
  }),
  zstd: named('zstd', {
    compress: () => Promise.reject(new Error('writing zstd is not supported')),
    decompress: (bytes) => Promise.resolve().then(() => unpackZstd(bytes)),
  }),
}

/** Teaches kafkajs the codecs it lacks, and a gzip that has a limit. They are global to it; doing it twice is harmless. */
export function registerCodecs(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs
  CompressionCodecs[CompressionTypes.GZIP] = () => codecs.gzip
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

function checkUnpackedSize(sizeBytes: number): void {
  if (sizeBytes > maxBatchBytes) throw new Error(`it unpacks to more than ${maxBatchBytes} bytes`)
}

/** Block by block: a frame need not say its size, and what it says need not be true. */
function unpackZstd(bytes: Buffer): Buffer {
  const pieces: Uint8Array[] = []
  let sizeBytes = 0
  const stream = new ZstdStream((piece) => {
    sizeBytes += piece.length
    checkUnpackedSize(sizeBytes)
    pieces.push(piece)
  })
  stream.push(bytes, true)
  return Buffer.concat(pieces, sizeBytes)
}

/** Java's framing of snappy in pieces (xerial). */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
const xerialHeaderBytes = 16

/** What a snappy batch says that it unpacks to; memory for all of it is taken before anything is unpacked. */
function snappyUnpackedBytes(bytes: Buffer): number {
  if (!bytes.subarray(0, xerialMagic.length).equals(xerialMagic)) return statedLength(bytes)
  let sum = 0
  for (let at = xerialHeaderBytes; at + 4 <= bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    sum += statedLength(bytes.subarray(at + 4))
  }
  return sum
}

/** The varint that a piece of snappy starts with. */
function statedLength(piece: Buffer): number {
  let length = 0
  for (let at = 0; at < Math.min(5, piece.length); at++) {
    const byte = piece[at] ?? 0
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) break
  }
  return length
}
