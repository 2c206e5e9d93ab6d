import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { packageRoot } from '../../src/core/paths.ts'
import { type Codec, codecs, registerCodecs } from '../../src/kafka/codecs.ts'

/** Records as librdkafka compresses them; make-codec-fixtures.py beside the file recorded them. */
const fixtures = JSON.parse(
  readFileSync(join(packageRoot, 'test', 'fixtures', 'kafka', 'codecs.json'), 'utf8'),
) as Record<'none' | 'gzip' | keyof typeof codecs, string>
const bytesOf = (name: keyof typeof fixtures): Buffer => Buffer.from(fixtures[name], 'hex')
const names = ['snappy', 'lz4', 'zstd'] as const

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
    const type = { snappy: 2, lz4: 3, zstd: 4 } as const
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
