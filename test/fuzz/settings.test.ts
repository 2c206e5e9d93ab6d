import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { settingKeys } from '../../src/settings/catalogue.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { settingRows } from '../../src/settings/reference.ts'
import { fuzzCases, fuzzSeed, refusalOf, survives } from '../support/fuzz.ts'

// in memory where the system has such a place: a hundred thousand files are written
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'labelstream-fuzz-'))
after(() => {
  rmSync(folder, { recursive: true })
})

const nested = `# labelstream.yaml
input:
  topic: texts
  format: json
  maxTextBytes: 50_000
batch: { budgetTokens: 2048, maxWaitMs: 5 }
kafka:
  brokers: [kafka-1:9092, "kafka-2:9092"]
  sasl: {mechanism: SCRAM-SHA-512, username: app, passwordFile: /run/secrets/kafka}
  ssl:
    caFile: |-
      /etc/ca.pem
    checkHostname: false
`
const flat =
  'input.topic: texts\nregistry.url: http://registry:8081\n"kafka.brokers": ["a:1"]\nhttp.port: 0\n'
const json = JSON.stringify({
  group: 'g',
  kafka: { brokers: ['a:9092'], requestTimeoutMs: 3_000 },
  delivery: 'exactly-once',
})

test('settings files', async (t) => {
  const file = join(folder, 'labelstream.yaml')
  await survives(t, {
    seeds: [nested.replace('50_000', '50000'), flat, json].map((text) => Buffer.from(text)),
    read: (bytes) => {
      writeFileSync(file, bytes)
      return loadSettings({ file, environment: {}, flags: {} })
    },
  })
})

test('values of flags and of the environment', (t) => {
  const names = settingRows().map(({ environment }) => environment)
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '',
      '0',
      '-1',
      '1e9',
      'true',
      'NaN',
      '9'.repeat(400),
      ',,,',
      'http://a:b@c',
      '/x',
      'x'.repeat(10_000),
    ),
  )
  fc.assert(
    fc.property(
      fc.constantFrom(...settingKeys),
      fc.constantFrom(...names),
      text,
      text,
      (key, name, flag, variable) => {
        for (const sources of [
          { environment: {}, flags: { [key]: flag } },
          { environment: { [name]: variable, LABELSTREAM: flag }, flags: {} },
        ]) {
          try {
            loadSettings({ ...sources, file: '/dev/null' })
          } catch (error) {
            refusalOf(error, `${key} or ${name}`, Buffer.from(`${flag}|${variable}`))
          }
        }
      },
    ),
    { numRuns: fuzzCases, seed: fuzzSeed },
  )
  t.diagnostic(`${fuzzCases} cases of seed ${fuzzSeed}, each as a flag and in the environment`)
})
