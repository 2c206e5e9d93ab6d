import { createHash } from 'node:crypto'
import { readFile, readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sha256, sha256OfFile } from '../core/digest.ts'
import { activationRangesFile } from '../encoders/activation-ranges.ts'
import type { ModelConfig } from '../encoders/config.ts'
import type { GraphForm } from '../encoders/model.ts'
import type { ConcretePrecision, SessionRequest } from './messages.ts'
import { readConfig } from './model-config.ts'

/** A model as a session takes it: the bytes of an ONNX file, or the path of one. */
export interface ModelGraph {
  readonly config: ModelConfig
  readonly onnx: Uint8Array | string
}

type GraphRequest = Pick<SessionRequest, 'folder' | 'output' | 'expectedDigests' | 'graphFolder'>

/**
 * The graph of a model folder in one precision and form: from `graphFolder` where it was made before out of the same files by
 * the same code, else built and kept there, with its weights in a file of their own that the session maps. A session
 * takes files in a third of the time and with half of the memory that it takes bytes, and building is left out
 * altogether. A kept graph whose digests are not those written beside it is built again; a folder that cannot be written
 * only costs that. Throws as `buildFromFolder`.
 */
export async function modelGraphOf(
  request: GraphRequest,
  precision: ConcretePrecision,
  form: GraphForm = 'served',
): Promise<ModelGraph> {
  const kept = await placeOf(request, precision, form)
  if (kept !== undefined && (await isIntact(kept))) {
    return { config: await readConfig(request), onnx: `${kept}.onnx` }
  }
  // loaded here, because a start that finds its graph needs none of it
  const [{ buildFromFolder }, { writeOnnx }, { keepGraph }] = await Promise.all([
    import('./model-files.ts'),
    import('../graph/onnx.ts'),
    import('./kept-graphs.ts'),
  ])
  const { config, graph } = await buildFromFolder(request, precision, form)
  if (kept === undefined) return { config, onnx: writeOnnx(graph) }
  try {
    await keepGraph(kept, graph)
    return { config, onnx: `${kept}.onnx` }
  } catch {
    return { config, onnx: writeOnnx(graph) }
  }
}

/** The path without its ending; undefined where nothing is to be kept, or the files have no digests to go by. */
async function placeOf(
  request: GraphRequest,
  precision: ConcretePrecision,
  form: GraphForm,
): Promise<string | undefined> {
  const { graphFolder, output, expectedDigests } = request
  const files = [expectedDigests['config.json'], expectedDigests['model.safetensors']]
  if (graphFolder === undefined || files.includes(undefined)) return undefined
  const ranges = expectedDigests[activationRangesFile] ?? null
  const identity = JSON.stringify([await builderDigest(), files, ranges, output, precision, form])
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
    const found = [await sha256OfFile(`${kept}.onnx`), await sha256OfFile(`${kept}.weights`)]
    if (found.join('\n') !== expected) return false
    const now = new Date()
    await utimes(`${kept}.onnx`, now, now).catch(() => undefined)
    return true
  } catch {
    return false
  }
}
