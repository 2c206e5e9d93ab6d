import assert from 'node:assert/strict'
import { chmod, cp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { sha256, sha256OfFile } from '../../src/core/digest.ts'
import { packageRoot } from '../../src/core/paths.ts'
import { splitOnnx, writeOnnx } from '../../src/graph/onnx.ts'
import { modelGraphOf } from '../../src/runtime/graph-cache.ts'
import { Inference } from '../../src/runtime/inference.ts'
import { buildFromFolder } from '../../src/runtime/model-files.ts'
import { temporaryFolder } from '../support/model-folder.ts'

/** A model folder of its own with the digests of its files, and an empty folder for graphs. */
async function subject() {
  const folder = join(await temporaryFolder(), 'model')
  await cp(join(packageRoot, 'test', 'fixtures', 'bert', 'tiny-gelu'), folder, { recursive: true })
  const expectedDigests = {
    'config.json': await sha256OfFile(join(folder, 'config.json')),
    'model.safetensors': await sha256OfFile(join(folder, 'model.safetensors')),
  }
  const graphFolder = join(await temporaryFolder(), 'graphs')
  return { folder, expectedDigests, graphFolder, output: 'logits' } as const
}

const pathOf = ({ onnx }: { onnx: Uint8Array | string }): string => {
  assert.ok(typeof onnx === 'string')
  return onnx
}

const weightsOf = (path: string): string => path.replace(/onnx$/, 'weights')

test('a graph is kept as it was built, its large weights beside it, and found again without the model', async () => {
  const request = await subject()
  const first = await modelGraphOf(request, 'fp32')
  const { graph } = await buildFromFolder(request, 'fp32')
  const path = pathOf(first)
  const { onnx, weights } = splitOnnx(graph, basename(path).replace(/onnx$/, 'weights'))
  assert.equal(await sha256OfFile(path), sha256(onnx))
  assert.equal(await sha256OfFile(weightsOf(path)), sha256(Buffer.concat(weights)))
  assert.ok(onnx.byteLength < writeOnnx(graph).byteLength / 2)
  await rm(join(request.folder, 'model.safetensors'))
  assert.deepEqual(await modelGraphOf(request, 'fp32'), first)
  await assert.rejects(modelGraphOf(request, 'int8'), { code: 'FILE_UNREADABLE' })
})

test('a kept graph scores as the one that is built', async () => {
  const request = await subject()
  const { folder, expectedDigests, output } = request
  const session = { provider: 'cpu', precision: 'int8', threads: 1, deadlineMs: 60_000 } as const
  const options = { folder, expectedDigests, output, ...session }
  const windows = [Int32Array.of(1, 5, 9), Int32Array.of(2, 3)]
  const values: Float32Array[] = []
  for (const graphFolder of [undefined, request.graphFolder, request.graphFolder]) {
    const inference = await Inference.start({
      ...options,
      ...(graphFolder === undefined ? {} : { graphFolder }),
    })
    values.push((await inference.run(windows)).values)
    await inference.close()
  }
  assert.equal((await readdir(request.graphFolder)).length, 3)
  assert.deepEqual(values[1], values[0])
  assert.deepEqual(values[2], values[0])
})

test('a damaged graph, a cut one and one without its digest are built again', async () => {
  const request = await subject()
  const path = pathOf(await modelGraphOf(request, 'fp32'))
  const files = [path, weightsOf(path)]
  const intact = await Promise.all(files.map((file) => readFile(file)))
  const damages = files.flatMap((file, index) => {
    const bytes = intact[index] ?? Buffer.alloc(0)
    const flipped = Buffer.from(bytes)
    flipped[1_000] = (flipped[1_000] ?? 0) ^ 1
    return [() => writeFile(file, flipped), () => writeFile(file, bytes.subarray(0, 2_000)), () => rm(file)]
  })
  for (const damage of [...damages, () => rm(path.replace(/onnx$/, 'sha256'))]) {
    await damage()
    assert.equal(pathOf(await modelGraphOf(request, 'fp32')), path)
    assert.deepEqual(await Promise.all(files.map((file) => readFile(file))), intact)
  }
})

test('other files, another output and another precision have graphs of their own, and the last used four stay', async () => {
  const request = await subject()
  const { expectedDigests } = request
  const places = [
    pathOf(await modelGraphOf(request, 'fp32')),
    pathOf(await modelGraphOf(request, 'int8')),
    pathOf(await modelGraphOf({ ...request, output: 'embedding' }, 'fp32')),
  ]
  for (const [age, path] of places.entries()) await utimes(path, 1_000 + age, 1_000 + age)
  await modelGraphOf(request, 'fp32')
  const config = await readFile(join(request.folder, 'config.json'), 'utf8')
  for (const changed of [`${config} `, `${config}\n `]) {
    await writeFile(join(request.folder, 'config.json'), changed)
    const digests = { ...expectedDigests, 'config.json': sha256(changed) }
    places.push(pathOf(await modelGraphOf({ ...request, expectedDigests: digests }, 'fp32')))
  }
  assert.equal(new Set(places).size, 5)
  const left = (await readdir(request.graphFolder)).filter((name) => name.endsWith('.onnx'))
  assert.deepEqual(left.map((name) => places.indexOf(join(request.graphFolder, name))).sort(), [0, 2, 3, 4])
  assert.equal((await readdir(request.graphFolder)).length, 12)
})

test('another form of the same model has a graph of its own', async () => {
  const request = await subject()
  const forms = [undefined, 'stepwise', 'joined'] as const
  const places = await Promise.all(
    forms.map(async (form) => pathOf(await modelGraphOf(request, 'fp32', form))),
  )
  assert.equal(new Set(places).size, forms.length)
  assert.equal(pathOf(await modelGraphOf(request, 'fp32', 'served')), places[0])
})

test('where nothing can be kept, or no digest says what the files are, the graph is built', async () => {
  const request = await subject()
  const { onnx } = await modelGraphOf({ ...request, expectedDigests: {} }, 'fp32')
  assert.ok(onnx instanceof Uint8Array)
  const file = join(await temporaryFolder(), 'file')
  await writeFile(file, '')
  await chmod(file, 0o400)
  const unwritable = await modelGraphOf({ ...request, graphFolder: join(file, 'graphs') }, 'fp32')
  assert.deepEqual(unwritable.onnx, onnx)
})
