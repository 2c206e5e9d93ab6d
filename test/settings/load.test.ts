import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { LabelstreamError, type ErrorCode } from '../../src/core/errors.ts'
import { declarations, settingKeys } from '../../src/settings/catalogue.ts'
import { environmentNameOf, flagOf } from '../../src/settings/declare.ts'
import { loadSettings, type SettingSources } from '../../src/settings/load.ts'
import { effectiveSettings, settingsJsonSchema, settingsPage } from '../../src/settings/reference.ts'

const folder = mkdtempSync(join(tmpdir(), 'labelstream-settings-'))
after(() => {
  rmSync(folder, { recursive: true })
})

function load(sources: Partial<SettingSources> = {}) {
  return loadSettings({ environment: {}, flags: {}, ...sources })
}

function yamlFile(text: string): string {
  const file = join(folder, `${Math.random()}.yaml`)
  writeFileSync(file, text)
  return file
}

function refusal(code: ErrorCode, ...parts: string[]) {
  return (error: unknown) => {
    assert.ok(error instanceof LabelstreamError)
    assert.equal(error.code, code)
    assert.equal(error.exitCode, 2)
    assert.ok(!error.message.includes('\n'), 'one line')
    for (const part of parts) assert.ok(error.message.includes(part), `${part} in: ${error.message}`)
    return true
  }
}

test('every default is valid and the names in all three places are unique', () => {
  const { settings } = load()
  const names = new Set<string>()
  for (const key of settingKeys) {
    const declaration = declarations[key]
    assert.ok(declaration !== undefined)
    assert.deepEqual(declaration.schema.parse(settings[key]), settings[key], key)
    names.add(flagOf(key)).add(environmentNameOf(key, declaration))
  }
  assert.equal(names.size, 2 * settingKeys.length)
})

test('one name three ways: key, environment and flag', () => {
  assert.equal(flagOf('batch.maxWaitMs'), '--batch-max-wait-ms')
  const declaration = declarations['batch.maxWaitMs']
  assert.ok(declaration !== undefined)
  assert.equal(environmentNameOf('batch.maxWaitMs', declaration), 'LABELSTREAM_BATCH_MAX_WAIT_MS')
})

test('later wins: default, file, environment, flag; and each value says where it came from', () => {
  const file = yamlFile('input: { topic: from-file }\noutput.topic: from-file\ngroup: from-file\n')
  const { settings, origins } = load({
    file,
    environment: {
      LABELSTREAM_OUTPUT_TOPIC: 'from-environment',
      LABELSTREAM_GROUP: 'from-environment',
      KAFKA_BROKERS: 'a:1, b:2',
    },
    flags: { group: 'from-flag' },
  })
  assert.equal(settings['input.topic'], 'from-file')
  assert.equal(settings['output.topic'], 'from-environment')
  assert.equal(settings.group, 'from-flag')
  assert.deepEqual(settings['kafka.brokers'], ['a:1', 'b:2'])
  assert.equal(origins['input.topic'], file)
  assert.equal(origins['output.topic'], 'LABELSTREAM_OUTPUT_TOPIC')
  assert.equal(origins.group, '--group')
  assert.equal(origins['http.port'], 'default')
})

test('an unknown key is refused with its place and the nearest name', () => {
  const file = yamlFile('inptu.topic: x')
  assert.throws(() => load({ file }), refusal('SETTING_UNKNOWN', 'inptu.topic', file, 'input.topic'))
  assert.throws(
    () => load({ environment: { LABELSTREAM_GRUOP: 'x' } }),
    refusal('SETTING_UNKNOWN', 'LABELSTREAM_GRUOP', 'LABELSTREAM_GROUP'),
  )
})

test('a wrong type or range is refused with the setting, its place and what would be right', () => {
  assert.throws(
    () => load({ flags: { 'batch.maxWaitMs': 'soon' } }),
    refusal('SETTING_INVALID', 'batch.maxWaitMs', '--batch-max-wait-ms', 'number'),
  )
  assert.throws(
    () => load({ environment: { LABELSTREAM_HTTP_PORT: '70000' } }),
    refusal('SETTING_INVALID', 'http.port', 'LABELSTREAM_HTTP_PORT', '65535'),
  )
  const file = yamlFile('delivery: sometimes')
  assert.throws(() => load({ file }), refusal('SETTING_INVALID', 'delivery', file, 'at-least-once'))
  assert.throws(
    () => load({ environment: { KAFKA_BROKERS: 'nowhere' } }),
    refusal('SETTING_INVALID', 'kafka.brokers', 'host:port'),
  )
})

test('a settings file that is missing, not YAML or a mere word is refused by name', () => {
  assert.throws(() => load({ file: join(folder, 'none.yaml') }), refusal('FILE_UNREADABLE', 'none.yaml'))
  const broken = yamlFile('a: [1')
  assert.throws(() => load({ file: broken }), refusal('SETTING_INVALID', broken, 'YAML'))
  const word = yamlFile('hello')
  assert.throws(() => load({ file: word }), refusal('SETTING_UNKNOWN', word))
})

test('a secret is never repeated, neither in the effective settings nor in an error', () => {
  const loaded = load({ environment: { KAFKA_SASL_PASSWORD: 'canary' } })
  assert.equal(loaded.settings['kafka.sasl.password'], 'canary')
  assert.ok(!JSON.stringify(effectiveSettings(loaded)).includes('canary'))
  const file = yamlFile('kafka.sasl.password: [canary]')
  assert.throws(
    () => load({ file }),
    (error) => error instanceof Error && !error.message.includes('canary'),
  )
})

test('the reference page and the JSON schema name every setting', () => {
  const page = settingsPage()
  const schema = settingsJsonSchema() as { properties: Record<string, unknown> }
  for (const key of settingKeys) assert.ok(page.includes(`\`${key}\``), key)
  assert.deepEqual(Object.keys(schema.properties), [...settingKeys])
})

test('a settings file that is not valid is refused with the place, without repeating what stands there', () => {
  const cases: [string, string, string][] = [
    ['kafka:\n  sasl: {password: canary\n', 'line 3', ''],
    ['kafka.sasl.password: "canary\n', 'line', ''],
    ['a: b\n- canary: *canary\n', 'line 2', ''],
    ['group: a\ngroup: canary\n', 'line 2', 'DUPLICATE_KEY'],
    ['group: &canary x\nmodel: *canary\n', 'line 2', 'aliases'],
    ['group: &a {b: *a}\n', 'line 1', 'aliases'],
    ['[canary, '.repeat(2_000), 'line', ''],
    ['- '.repeat(50_000), 'line', ''],
    ['? '.repeat(400), 'line 1', 'a key is not a name'],
    ['{[canary]: 1}', 'line 1', 'a key is not a name'],
  ]
  for (const [text, ...parts] of cases) {
    const file = yamlFile(text)
    assert.throws(() => load({ file }), refusal('SETTING_INVALID', file, ...parts))
    assert.throws(
      () => load({ file }),
      (error) => error instanceof Error && !error.message.includes('canary'),
    )
  }
})

test('a settings file of a megabyte of keys is refused at once, a larger one before it is parsed', () => {
  const keys = Array.from({ length: 80_000 }, (_, index) => `key${index}: 1`).join('\n')
  assert.throws(() => load({ file: yamlFile(keys) }), refusal('SETTING_UNKNOWN', 'key0'))
  assert.throws(() => load({ file: yamlFile(' '.repeat(1_048_577)) }), refusal('SETTING_INVALID', 'larger'))
  const long = yamlFile(`? ${'k'.repeat(1_000_000)}\n: 1\n`)
  assert.throws(() => load({ file: long }), refusal('SETTING_UNKNOWN', 'kkkk'))
  assert.throws(() => load({ file: '/dev/zero' }), refusal('SETTING_INVALID', 'larger'))
})

test('an address with a user and a password is refused and not repeated', () => {
  for (const address of [
    'http://user:canary@registry:8081',
    'ftp://user:canary@host',
    'https://canary@host/x',
  ]) {
    assert.throws(
      () => load({ flags: { 'registry.url': address } }),
      (error) => {
        assert.ok(error instanceof LabelstreamError)
        assert.equal(error.code, 'SETTING_INVALID')
        assert.doesNotMatch(error.message, /canary/)
        return true
      },
    )
  }
  const fine = 'https://registry.example:8081/apis/ccompat/v7'
  assert.equal(load({ flags: { 'registry.url': fine } }).settings['registry.url'], fine)
})

test('a secret that is not valid is not repeated, whatever it is', () => {
  for (const value of ['password: {canary: 1}', 'password: [canary]', 'password: 5']) {
    const file = yamlFile(`kafka:\n  sasl:\n    ${value}\n`)
    assert.throws(
      () => load({ file }),
      (error) => error instanceof LabelstreamError && !error.message.includes('canary'),
    )
  }
})
