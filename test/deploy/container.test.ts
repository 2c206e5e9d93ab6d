import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { packageRoot } from '../../src/core/paths.ts'
import { settingKeys } from '../../src/settings/catalogue.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { settingRows } from '../../src/settings/reference.ts'

const read = (name: string): string => readFileSync(join(packageRoot, name), 'utf8')
const lines = read('deploy/Dockerfile')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
const copied = lines
  .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
  .flatMap((line) => line.split(' ').slice(1, -1))

test('what the image copies is there, and reaches the engine', () => {
  assert.ok(copied.includes('src') && copied.includes('models'))
  const allowed = new Set(
    read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1)),
  )
  for (const path of copied) {
    assert.ok(existsSync(join(packageRoot, path)), path)
    assert.ok(allowed.has(path), `${path} is not named in .dockerignore`)
  }
  for (const path of allowed) assert.ok(copied.includes(path), `${path} is sent to the engine for nothing`)
  assert.ok(read('.dockerignore').includes('\n*\n'), 'everything else is left out')
})

test('the image runs as a numeric user that is not root, from a pinned base of a Node that the package allows', () => {
  assert.match(lines.find((line) => line.startsWith('USER ')) ?? '', /^USER [1-9]\d{3,}:[1-9]\d{3,}$/)
  for (const line of lines.filter((each) => each.startsWith('FROM '))) {
    assert.match(line, /^FROM node:20\.\d+-bookworm-slim/)
  }
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')))
  assert.ok(
    last.findIndex((line) => line.startsWith('USER ')) <
      last.findIndex((line) => line.startsWith('ENTRYPOINT ')),
  )
  assert.ok(
    !lines.some((line) => /^(ARG|ENV).*(PASSWORD|TOKEN|SECRET)(?!_FILE)/.test(line)),
    'no secret in a layer',
  )
})

interface Service {
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly user?: string
  readonly privileged?: boolean
  readonly ports?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

test('compose runs labelstream without capabilities, on a read-only root, and publishes to this machine alone', () => {
  const { services } = parse(read('deploy/compose.yaml'), { merge: true }) as {
    services: Record<string, Service>
  }
  for (const [name, service] of Object.entries(services)) {
    assert.deepEqual(service.cap_drop, ['ALL'], name)
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name)
    assert.equal(service.privileged, undefined, name)
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/, name)
    if (name === 'kafka') continue
    assert.equal(service.read_only, true, name)
    assert.match(service.user ?? '', /^[1-9]\d*:[1-9]\d*$/, name)
    const { settings } = loadSettings({
      environment: service.environment ?? {},
      flags: {},
      file: '/dev/null',
    })
    assert.deepEqual(settings['kafka.brokers'], ['kafka:9092'])
  }
})

test('every setting that the image and compose name is one that there is', () => {
  const known = new Set(settingRows().map(({ environment }) => environment))
  assert.equal(known.size, settingKeys.length)
  const named = read('deploy/Dockerfile').match(/\bLABELSTREAM_[A-Z_]+/g) ?? []
  assert.ok(named.length > 0)
  for (const name of named) assert.ok(known.has(name), name)
})
