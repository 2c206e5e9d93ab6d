import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import kafkajs from 'kafkajs'
import { packageRoot } from '../../src/core/paths.ts'
import { type Codec, codecs, registerCodecs } from '../../src/kafka/codecs.ts'

/** Records as librdkafka compresses them; make-codec-fixtures.py beside the file recorded them. */
const fixtures = JSON.parse(
  readFileSync(join(packageRoot, 'test', 'fixtures', 'kafka', 'codecs.json'), 'utf8'),
) as Record<'none' | keyof typeof codecs, string>
const bytesOf = (name: keyof typeof fixtures): Buffer => Buffer.from(fixtures[name], 'hex')
const names = ['gzip', 'snappy', 'lz4', 'zstd'] as const

/** Record timestamps differ between the recordings by a few milliseconds; the texts are the same. */
const readable = (bytes: Buffer): string => bytes.toString('latin1').replaceAll(/[^a-z0-9 ]/g, '')

for (const name of names) {
  test(`${name}: what librdkafka compressed is read`, async () => {
    const records = await codecs[name].decompress(bytesOf(name))
    assert.equal(records.length, bytesOf('none').length)
    assert.match(readable(records), /key 19/)
    assert.equal(String(records).split('a text that repeats itself ').length - 1, (19 * 20) / 2)
  })

  test(`${name}: kafkajs uses our codec`, async () => {
    registerCodecs()
    const type = { gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const
    const codec = kafkajs.CompressionCodecs[type[name]]() as Codec
    assert.equal((await codec.decompress(bytesOf(name))).length, bytesOf('none').length)
  })

  test(`${name}: damaged bytes are named as such and not tried again`, async () => {
    const damaged = bytesOf(name).subarray(0, 40)
    damaged.fill(0xff, 4)
    await assert.rejects(codecs[name].decompress(damaged), (error) => {
      assert.ok(error instanceof Error && 'retriable' in error)
      assert.equal(error.name, 'CorruptRecordsError')
      assert.equal(error.retriable, false)
      assert.match(error.message, new RegExp(name))
      return true
    })
  })
}

/** The same block of 128 KiB again and again (RFC 8878, 3.1.1.2: run-length blocks), in a frame that states no size. */
function zstdBomb(blocks: number): Buffer {
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58])
  const block = (last: boolean): Buffer => {
    const bytes = Buffer.alloc(4)
    bytes.writeUIntLE((131_072 << 3) | (1 << 1) | (last ? 1 : 0), 0, 3)
    return bytes
  }
  const body = Array.from({ length: blocks }, (_, index) => block(index === blocks - 1))
  return Buffer.concat([header, ...body])
}

test('a batch that unpacks to far more than it weighs is refused before it has done so', async () => {
  assert.equal((await codecs.zstd.decompress(zstdBomb(8))).length, 8 * 131_072)
  const snappyOfFourGigabytes = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x41])
  const framed = Buffer.concat([
    Buffer.from('82534e41505059000000000100000001', 'hex'),
    Buffer.from([0, 0, 0, 7]),
    snappyOfFourGigabytes,
  ])
  const bombs = {
    gzip: gzipSync(Buffer.alloc(300_000_000)),
    zstd: zstdBomb(3_000),
    snappy: snappyOfFourGigabytes,
    'framed snappy': framed,
  }
  for (const [name, bomb] of Object.entries(bombs)) {
    const codec = codecs[name.replace('framed ', '') as keyof typeof codecs]
    await assert.rejects(codec.decompress(bomb), { name: 'CorruptRecordsError' }, name)
    assert.ok(bomb.length < 300_000, name)
  }
})
