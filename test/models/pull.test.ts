import assert from 'node:assert/strict'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import type { ErrorCode } from '../../src/core/errors.ts'
import { exportModel } from '../../src/models/export.ts'
import { openEncoder, openModel } from '../../src/models/folder.ts'
import { Hub, parseRepository } from '../../src/models/hub.ts'
import type { HubRequestOptions } from '../../src/models/hub-requests.ts'
import { type PulledVersion, pullModel } from '../../src/models/pull.ts'
import { end, type FakeHub, fakeRepository, listed, startFakeHub } from '../support/fake-hub.ts'
import { temporaryFolder } from '../support/model-folder.ts'
import { largestDifference } from '../support/onnx-session.ts'
import { savedModel } from '../support/saved-model.ts'
import { throwsCode } from '../support/throws-code.ts'

const token = 'canary-token'
const started: FakeHub[] = []
let folder: string
let hub: FakeHub
let modelsFolder: string

beforeEach(async () => {
  folder = await savedModel()
  await writeFile(join(folder, 'pytorch_model.bin'), 'a pickle')
  await writeFile(join(folder, 'modeling.py'), 'raise SystemExit')
  hub = await startFakeHub(folder)
  started.push(hub)
  modelsFolder = await temporaryFolder()
})
after(() => Promise.all(started.map((each) => each.close())))

async function pull(place = fakeRepository, options: Partial<HubRequestOptions> = {}): Promise<PulledVersion> {
  return pullModel(new Hub({ url: hub.url, retryMs: 0, ...options }), parseRepository(place), {
    name: 'pulled',
    modelsFolder,
    goldenTexts: ['hello world'],
  })
}

/** Nothing of the model is left behind. */
async function refused(code: ErrorCode, reason: RegExp, ...args: Parameters<typeof pull>): Promise<void> {
  await throwsCode(() => pull(...args), code, reason)
  assert.deepEqual(await readdir(modelsFolder), [])
}

const entry = (name: string) => {
  const found = hub.listing.find(({ rfilename }) => rfilename === name)
  assert.ok(found !== undefined)
  return found
}
const unlist = (name: string): void => {
  hub.listing.splice(hub.listing.indexOf(entry(name)), 1)
}
const asked = (): string[] => hub.requests.map(({ path }) => path)

test('a repository becomes a version with its files as they are, and the manifest says which commit they are of', async () => {
  const pulled = await pull()
  const model = await openModel(pulled.path, '/nowhere')
  assert.deepEqual(model.labels, ['first', 'second', 'third'])
  assert.deepEqual(model.manifest.source, { hub: hub.url, repository: fakeRepository, commit: hub.commit })
  assert.equal(model.manifest.licence, 'mit')
  for (const file of ['config.json', 'tokenizer.json', 'model.safetensors']) {
    assert.deepEqual(await readFile(join(pulled.path, file)), await readFile(join(folder, file)), file)
  }
  // nothing that could run is even asked for
  assert.ok(asked().every((path) => !path.includes('pytorch_model') && !path.endsWith('.py')))
  assert.deepEqual(await readdir(modelsFolder), ['pulled'])
})

test('a graph where exporters put it is pulled in place of weights, and served', async () => {
  const exported = join(await temporaryFolder(), 'exported')
  const { path } = await pull()
  await exportModel(await openModel(path, '/nowhere'), exported, 'onnx')
  hub.contents.set('onnx/model.onnx', await readFile(join(exported, 'model.onnx')))
  hub.listing.push(listed('onnx/model.onnx', await readFile(join(exported, 'model.onnx'))))
  unlist('model.safetensors')
  const pulled = await openModel((await pull()).path, '/nowhere')
  assert.ok(Object.hasOwn(pulled.fileDigests, 'model.onnx'))
  const original = await openModel(path, '/nowhere')
  const [scores, expected] = [pulled, original].map(({ manifest }) => Object.values(manifest.golden[0]?.scores ?? {}))
  assert.ok(largestDifference(scores ?? [], expected ?? []) < 1e-5)
})

test('all files are of the commit that the revision meant at the start', async () => {
  hub.revisions.set('refs/pr/1', hub.commit)
  hub.behaviour = ({ url }) => {
    // somebody pushes while the files are fetched
    if (url?.includes('/resolve/') === true) hub.revisions.set('refs/pr/1', 'f'.repeat(40))
    return false
  }
  await pull(`${fakeRepository}@refs/pr/1`)
  const [listing, ...files] = asked()
  assert.equal(listing, `/api/models/${fakeRepository}/revision/refs%2Fpr%2F1?blobs=true`)
  assert.ok(files.length >= 3 && files.every((path) => path.includes(`/resolve/${hub.commit}/`)))
})

test('a file whose bytes are not those listed is refused before anything is parsed, by either digest', async () => {
  const config = hub.contents.get('config.json') ?? Buffer.alloc(0)
  hub.contents.set('config.json', Buffer.from(config.map((byte, at) => (at === 5 ? byte ^ 1 : byte))))
  await refused('MODEL_CORRUPT', /config\.json .* is not the file listed: digest/)
  hub.contents.set('config.json', config)
  const small = Buffer.from('{"model_max_length": 48}')
  hub.listing.push(listed('tokenizer_config.json', small))
  hub.contents.set('tokenizer_config.json', Buffer.from('{"model_max_length": 84}'))
  await refused('MODEL_CORRUPT', /tokenizer_config\.json .* is not the file listed: digest/)
  hub.contents.set('tokenizer_config.json', small)
  await pull()
})

test('a file that is too large is refused: by its listed size before it is fetched, by its bytes while they come', async () => {
  const weights = entry('model.safetensors')
  weights.lfs = { sha256: weights.lfs?.sha256 ?? '', size: 2 ** 40 }
  await refused('MODEL_UNSUPPORTED', /model\.safetensors has 1099511627776 bytes, the limit is 2147483648/)
  assert.equal(hub.requests.length, 1)
  const bytes = hub.contents.get('config.json') ?? Buffer.alloc(0)
  hub.contents.set('config.json', Buffer.concat([bytes, bytes]))
  weights.lfs.size = hub.contents.get('model.safetensors')?.length ?? 0
  await refused('MODEL_CORRUPT', /config\.json .* has more than the \d+ bytes listed/)
  hub.behaviour = (_request, response) => {
    end(response, 200, ' '.repeat(9 * 1_048_576))
    return true
  }
  await refused('HUB_REFUSED', /a listing of more than/)
})

test('what is missing is told: a file that an import needs, one that is listed but gone, the repository, the revision', async () => {
  hub.contents.delete('tokenizer.json')
  await refused('MODEL_NOT_FOUND', /has no tokenizer\.json of someone\/classifier at/)
  unlist('tokenizer.json')
  await refused('MODEL_UNSUPPORTED', /has no tokenizer\.json/)
  unlist('model.safetensors')
  await refused('MODEL_UNSUPPORTED', /has no /)
  await refused('MODEL_NOT_FOUND', /no model someone\/other at revision main/, 'someone/other')
  await refused('MODEL_NOT_FOUND', /at revision v9/, `${fakeRepository}@v9`)
  hub.behaviour = (_request, response) => {
    end(response, 401, token)
    return true
  }
  await refused('HUB_REFUSED', /status 401: .*models\.hubTokenFile/)
})

test('an encoder without labels is refused after its config, without its weights, and taken to train from', async () => {
  const saved = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as object
  const config = Buffer.from(JSON.stringify({ ...saved, architectures: ['BertModel'] }))
  hub.contents.set('config.json', config)
  Object.assign(entry('config.json'), listed('config.json', config), { lfs: undefined })
  await refused('MODEL_UNSUPPORTED', /no labels/)
  assert.ok(!asked().some((path) => path.endsWith('model.safetensors')))
  const client = new Hub({ url: hub.url, retryMs: 0 })
  const options = { name: 'base', modelsFolder, goldenTexts: [], encoder: true }
  const { path, source } = await pullModel(client, parseRepository(fakeRepository), options)
  assert.equal(source.commit, hub.commit)
  assert.equal((await openEncoder('base', modelsFolder)).licence, 'mit')
  const { origin } = JSON.parse(await readFile(join(path, 'manifest.json'), 'utf8')) as { origin: string }
  assert.equal(origin, `${fakeRepository} at ${hub.commit} of ${hub.url}`)
})

test('a server fault, a cut connection and a silent server are tried again, until the time is over', async () => {
  let faults = 0
  hub.behaviour = ({ url }, response) => {
    const isConfig = url?.endsWith('/config.json') === true
    if (!isConfig || faults === 3) return false
    faults++
    if (faults === 1) end(response, 500)
    else if (faults === 2) {
      response.writeHead(200, { 'content-length': 1_000 })
      response.write('{', () => response.destroy())
    }
    return true
  }
  await pull(fakeRepository, { retryMs: 60_000, silenceMs: 300 })
  assert.equal(faults, 3)
  hub.behaviour = (_request, response) => {
    end(response, 503)
    return true
  }
  await throwsCode(() => pull(fakeRepository, { retryMs: 100 }), 'HUB_UNREACHABLE', /status 503/)
})

test('a file that cannot be written is no fault of the hub, which is not asked again', async () => {
  const client = new Hub({ url: hub.url })
  const snapshot = await client.snapshot(fakeRepository, 'main')
  const config = snapshot.files.find(({ path }) => path === 'config.json')
  assert.ok(config !== undefined)
  const target = join(modelsFolder, 'nowhere', 'config.json')
  await throwsCode(
    () => client.download(snapshot, config, target),
    'FILE_UNREADABLE',
    /nowhere.config\.json cannot be written/,
  )
  assert.equal(hub.requests.length, 2)
})

test('the token goes to the hub alone, never to where a download leads', async () => {
  const other = await startFakeHub(folder)
  started.push(other)
  hub.behaviour = ({ url, headers }, response) => {
    if (headers.authorization !== `Bearer ${token}`) end(response, 401)
    else if (url?.includes('/resolve/') === true) {
      response.writeHead(302, { location: `${other.url}${url}` }).end()
    } else return false
    return true
  }
  await pull(fakeRepository, { token })
  assert.ok(other.requests.length >= 3)
  assert.ok(other.requests.every(({ authorization }) => authorization === undefined))
})

test('a redirection leads to https or, from a hub on loopback, to loopback, and not round and round', async () => {
  const leadTo = (location: string): void => {
    hub.behaviour = ({ url }, response) => {
      if (url?.includes('/resolve/') !== true) return false
      response.writeHead(302, { location }).end()
      return true
    }
  }
  for (const location of ['http://192.0.2.1/x', 'file:///etc/passwd', 'ftp://127.0.0.1/x', 'http://']) {
    leadTo(location)
    await refused('HUB_REFUSED', /a redirection that does not lead to https/)
  }
  leadTo('/someone/classifier/resolve/x')
  await refused('HUB_REFUSED', /more than 5 redirections/)
})

test('an address or a repository that is none is refused, and no password repeated', () => {
  for (const url of ['http://hub.example', 'https://user:canary@hub.example', 'ftp://127.0.0.1', 'nonsense']) {
    assert.throws(
      () => new Hub({ url }),
      (error: Error) => /models\.hubUrl/.test(error.message) && !/canary/.test(error.message),
      url,
    )
  }
  for (const url of ['https://huggingface.co', 'https://hub.example/sub/', 'http://[::1]:80', 'http://localhost:1']) {
    assert.equal(new Hub({ url }).address, url.replace(/\/$/, '').replace(':80', ''), url)
  }
  assert.deepEqual(parseRepository('a/b@refs/pr/1'), { repository: 'a/b', revision: 'refs/pr/1' })
  assert.deepEqual(parseRepository('bert'), { repository: 'bert', revision: 'main' })
  for (const text of ['', 'a/b/c', '../b', 'a/..', 'a/b@', 'a@b@c', 'a b', 'a?x', '@main']) {
    assert.throws(() => parseRepository(text), { code: 'USAGE' }, text)
  }
})

test('a pull that is interrupted leaves nothing behind', async () => {
  const interruption = new AbortController()
  hub.behaviour = ({ url }) => {
    if (url?.endsWith('model.safetensors') !== true) return false
    interruption.abort('SIGINT')
    return true
  }
  await refused('INTERRUPTED', /interrupted/, fakeRepository, { signal: interruption.signal, retryMs: 60_000 })
})

test('without a licence on the card one must be given', async () => {
  hub.card = undefined
  await refused('USAGE', /--licence is missing/)
  assert.equal(hub.requests.length, 1)
})
