import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { readAvro } from '../../src/formats/avro-reader.ts'
import { canonicalForm } from '../../src/formats/avro-schema.ts'
import { SchemaRegistry, valueSubject } from '../../src/formats/registry.ts'
import { respond, startFakeRegistry, type FakeRegistry } from '../support/fake-registry.ts'
import { throwsCode } from '../support/throws-code.ts'

let fake: FakeRegistry
beforeEach(async () => {
  fake = await startFakeRegistry()
})
afterEach(() => fake.close())

const client = (other: object = {}) => new SchemaRegistry({ url: fake.url, timeoutMs: 5_000, ...other })

test('a schema is asked for once, even by many messages at the same time', async () => {
  fake.schemas.set(7, { schema: '"string"' })
  const registry = client()
  const schemas = await Promise.all(Array.from({ length: 50 }, () => registry.schemaById(7)))
  assert.deepEqual(new Set(schemas.map(canonicalForm)), new Set(['"string"']))
  await registry.schemaById(7)
  assert.deepEqual(fake.requests, ['GET /schemas/ids/7'])
})

test("the path of the registry's address is kept, and a slash at its end does no harm", async () => {
  const registry = client({ url: `${fake.url}/apis/ccompat/v7/` })
  await throwsCode(() => registry.schemaById(1), 'INPUT_UNKNOWN_SCHEMA')
  assert.deepEqual(fake.requests, ['GET /apis/ccompat/v7/schemas/ids/1'])
})

test('an id that the registry does not know is a fault of the message, and is not asked for again at once', async () => {
  const registry = client()
  for (let message = 0; message < 3; message++) {
    const error = await throwsCode(() => registry.schemaById(9), 'INPUT_UNKNOWN_SCHEMA', /no schema 9/)
    assert.equal(error.disposition, 'dead-letter')
  }
  assert.equal(fake.requests.length, 1)
})

test('references are fetched, each once, before the schema that needs them', async () => {
  const inner = { type: 'record', name: 'n.Inner', fields: [{ name: 'text', type: 'string' }] }
  const outer = {
    type: 'record',
    name: 'n.Outer',
    fields: ['a', 'b'].map((name) => ({ name, type: 'Inner' })),
  }
  fake.versions.set('inner/3', { schema: JSON.stringify(inner) })
  const references = [1, 2].map(() => ({ name: 'n.Inner', subject: 'inner', version: 3 }))
  fake.schemas.set(7, { schema: JSON.stringify(outer), references })
  const schema = await client().schemaById(7)
  assert.deepEqual(JSON.parse(JSON.stringify(readAvro(schema, Buffer.from('02610262', 'hex')))), {
    a: { text: 'a' },
    b: { text: 'b' },
  })
  assert.deepEqual(fake.requests, ['GET /schemas/ids/7', 'GET /subjects/inner/versions/3'])
})

test('schemas that refer to each other in a circle are refused', async () => {
  fake.versions.set('a/1', { schema: '"string"', references: [{ name: 'A', subject: 'a', version: 1 }] })
  fake.schemas.set(7, { schema: '"string"', references: [{ name: 'A', subject: 'a', version: 1 }] })
  await throwsCode(() => client().schemaById(7), 'INPUT_UNKNOWN_SCHEMA', /nested too deeply/)
})

test('a schema of another kind, or a broken one, is a fault of the message', async () => {
  fake.schemas.set(1, { schemaType: 'PROTOBUF', schema: 'syntax = "proto3";' })
  fake.schemas.set(2, { schema: '{"type":"record"}' })
  await throwsCode(() => client().schemaById(1), 'INPUT_UNKNOWN_SCHEMA', /PROTOBUF/)
  await throwsCode(() => client().schemaById(2), 'INPUT_UNKNOWN_SCHEMA', /not a valid Avro schema/)
})

test('server faults and throttling are to be tried again, and later success is not spoiled by them', async () => {
  const registry = client()
  for (const status of [500, 502, 503, 429]) {
    fake.behaviour = (_request, response) => {
      respond(response, status, 'oops')
    }
    const error = await throwsCode(
      () => registry.schemaById(7),
      'REGISTRY_UNREACHABLE',
      new RegExp(String(status)),
    )
    assert.equal(error.disposition, 'retry')
  }
  fake.behaviour = undefined
  fake.schemas.set(7, { schema: '"string"' })
  assert.equal(canonicalForm(await registry.schemaById(7)), '"string"')
})

test('a refused connection and one that breaks off are to be tried again', async () => {
  fake.behaviour = (request) => {
    request.socket.destroy()
  }
  await throwsCode(() => client().schemaById(7), 'REGISTRY_UNREACHABLE')
  fake.behaviour = (request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('{"sche', () => request.socket.destroy())
  }
  await throwsCode(() => client().schemaById(7), 'REGISTRY_UNREACHABLE')
  const gone = await startFakeRegistry()
  await gone.close()
  await throwsCode(() => client({ url: gone.url }).schemaById(7), 'REGISTRY_UNREACHABLE', /ECONNREFUSED/)
})

test('a registry that stays silent is given up after the time limit', async () => {
  fake.behaviour = () => undefined
  await throwsCode(() => client({ timeoutMs: 50 }).schemaById(7), 'REGISTRY_UNREACHABLE', /timeout/)
})

test('credentials are sent, and when they are wrong the settings are named but not their values', async () => {
  let sent: string | undefined
  fake.behaviour = (request, response) => {
    sent = request.headers.authorization
    respond(response, 401, { message: 'no' })
  }
  const registry = client({ username: 'app', password: 'pä:ss' })
  const error = await throwsCode(() => registry.schemaById(7), 'REGISTRY_REFUSED', /registry\.passwordFile/)
  assert.equal(error.disposition, 'refuse')
  assert.equal(sent, `Basic ${Buffer.from('app:pä:ss').toString('base64')}`)
  assert.doesNotMatch(error.message, /p[äa]:|YXBw/)
})

test('an answer that is no registry is refused with a hint at the path', async () => {
  for (const body of ['<html>nothing here</html>', { error_code: 404, message: 'HTTP 404 Not Found' }]) {
    fake.behaviour = (_request, response) => {
      respond(response, 404, body)
    }
    await throwsCode(() => client().schemaById(7), 'REGISTRY_REFUSED', /404.*path of registry\.url/)
  }
  fake.behaviour = (_request, response) => {
    respond(response, 200, '<html>welcome</html>')
  }
  await throwsCode(() => client().schemaById(7), 'REGISTRY_REFUSED', /path of registry\.url/)
})

test('an answer without end is cut off', async () => {
  fake.behaviour = (_request, response) => {
    respond(response, 200, JSON.stringify({ schema: 'x'.repeat(100_000) }))
  }
  await throwsCode(
    () => client({ maxResponseBytes: 10_000 }).schemaById(7),
    'REGISTRY_REFUSED',
    /larger than 10000/,
  )
})

test('registering gives the id under the subject of the topic', async () => {
  const registry = client()
  assert.equal(valueSubject('scores'), 'scores-value')
  const header = await registry.valueHeader('my topic/1', '"string"')
  assert.equal(header.toString('hex'), '0000000001')
  assert.deepEqual(fake.requests, ['POST /subjects/my%20topic%2F1-value/versions'])
  assert.equal(canonicalForm(await registry.schemaById(1)), '"string"')
})

test('a schema that is not compatible with the registered one is refused with the subject', async () => {
  fake.behaviour = (_request, response) => {
    respond(response, 409, { message: 'incompatible' })
  }
  await throwsCode(
    () => client().register('scores-value', '"int"'),
    'REGISTRY_REFUSED',
    /compatible.*scores-value/,
  )
  fake.behaviour = (_request, response) => {
    respond(response, 422, { message: 'line 1\nline 2' })
  }
  await throwsCode(() => client().register('scores-value', '"int'), 'REGISTRY_REFUSED', /422: line 1 line 2/)
  fake.behaviour = (_request, response) => {
    respond(response, 200, {})
  }
  await throwsCode(() => client().register('scores-value', '"int"'), 'REGISTRY_REFUSED', /no id/)
})

test('an address with a password in it is refused without repeating it', async () => {
  for (const url of ['http://app:geheim@registry:8081', 'registry:8081', '', 'file:///geheim']) {
    const error = await throwsCode(() => client({ url }), 'SETTING_INVALID', /registry\.url/)
    assert.doesNotMatch(error.message, /geheim/)
  }
})

test('a redirection is not followed: neither the password nor the schema goes to where it leads', async () => {
  const elsewhere = await startFakeRegistry()
  try {
    for (const status of [301, 302, 303, 307, 308]) {
      fake.behaviour = (request, response) => {
        response.writeHead(status, { location: `${elsewhere.url}${String(request.url)}` })
        response.end()
      }
      const registry = client({ username: 'user', password: 'canary-password' })
      for (const ask of [() => registry.schemaById(1), () => registry.register('scores-value', '"string"')]) {
        const error = await throwsCode(ask, 'REGISTRY_REFUSED', /redirection.*registry\.url/)
        assert.doesNotMatch(error.message, /canary-password/)
      }
    }
    assert.deepEqual(elsewhere.requests, [])
    fake.behaviour = (_request, response) => {
      response.writeHead(302, { location: '/schemas/ids/2' })
      response.end()
    }
    await throwsCode(() => client().schemaById(1), 'REGISTRY_REFUSED', /redirection/)
  } finally {
    await elsewhere.close()
  }
})
