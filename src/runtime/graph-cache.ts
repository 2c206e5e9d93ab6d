import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sha256, sha256OfFile } from '../core/digest.ts'
import { activationRangesFile } from '../encoders/activation-ranges.ts'
import type { ModelConfig } from '../encoders/config.ts'
import type { ConcretePrecision, SessionRequest } from './messages.ts'
import { readConfig } from './model-config.ts'

/** A model as a session takes it: the bytes of an ONNX file, or the path of one. */
export interface ModelGraph {
  readonly config: ModelConfig
  readonly onnx: Uint8Array | string
}

type GraphRequest = Pick<SessionRequest, 'folder' | 'output' | 'expectedDigests' | 'graphFolder'>

/** The graphs of a champion and a candidate in two precisions; each is as large as its model. */
const keptGraphs = 4

/**
 * The graph of a model folder in one precision: from `graphFolder` where it was made before out of the same files by
 * the same code, else built and kept there. A session takes a file in a third of the time that it takes bytes, and
 * building is left out altogether. A kept graph whose digest is not the one written beside it is built again; a folder
 * that cannot be written only costs that time. Throws as `buildFromFolder`.
 */
export async function modelGraphOf(request: GraphRequest, precision: ConcretePrecision): Promise<ModelGraph> {
  const kept = await placeOf(request, precision)
  if (kept !== undefined && (await isIntact(kept))) {
    return { config: await readConfig(request), onnx: `${kept}.onnx` }
  }
  // loaded here, because a start that finds its graph needs none of it
  const { buildFromFolder } = await import('./model-files.ts')
  const built = await buildFromFolder(request, precision)
  if (kept === undefined) return built
  try {
    await keep(kept, built.onnx)
    return { config: built.config, onnx: `${kept}.onnx` }
  } catch {
    return built
  }
}

/** The path without its ending; undefined where nothing is to be kept, or the files have no digests to go by. */
async function placeOf(request: GraphRequest, precision: ConcretePrecision): Promise<string | undefined> {
  const { graphFolder, output, expectedDigests } = request
  const files = [expectedDigests['config.json'], expectedDigests['model.safetensors']]
  if (graphFolder === undefined || files.includes(undefined)) return undefined
  const ranges = expectedDigests[activationRangesFile] ?? null
  const identity = JSON.stringify([await builderDigest(), files, ranges, output, precision])
  return join(graphFolder, sha256(identity).slice(0, 32))
}

/** Of the code that makes graphs: a graph of another release is another graph. */
async function builderDigest(): Promise<string> {
  const hash = createHash('sha256')
  for (const room of ['../encoders/', '../graph/']) {
    const folder = fileURLToPath(new URL(room, import.meta.url))
    const names = (await readdir(folder, { recursive: true })).filter((name) => /\.[jt]s$/.test(name)).sort()
    const sources = await Promise.all(names.map((name) => readFile(join(folder, name))))
    for (const source of sources) hash.update(source)
  }
  return hash.digest('hex')
}

async function isIntact(kept: string): Promise<boolean> {
  try {
    const expected = await readFile(`${kept}.sha256`, 'utf8')
    if ((await sha256OfFile(`${kept}.onnx`)) !== expected) return false
    const now = new Date()
    await utimes(`${kept}.onnx`, now, now).catch(() => undefined)
    return true
  } catch {
    return false
  }
}

async function keep(kept: string, onnx: Uint8Array): Promise<void> {
  const folder = join(kept, '..')
  await mkdir(folder, { recursive: true })
  await writeBeside(`${kept}.onnx`, onnx)
  await writeBeside(`${kept}.sha256`, sha256(onnx))
  await removeOldest(folder)
}

/** Whole or not at all, whoever else writes the same at this moment. */
async function writeBeside(path: string, content: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await writeFile(temporary, content)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** All but the graphs used last. */
async function removeOldest(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.onnx'))
  const used = await Promise.all(
    names.map(async (name) => ({ name, ms: (await stat(join(folder, name))).mtimeMs })),
  )
  used.sort((a, b) => b.ms - a.ms)
  for (const { name } of used.slice(keptGraphs)) {
    await rm(join(folder, name.replace(/onnx$/, 'sha256')), { force: true })
    await rm(join(folder, name), { force: true })
  }
}
