import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Graph } from '../graph/builder.ts'
import { splitOnnx } from '../graph/onnx.ts'

/** The graphs of a champion and a candidate in two precisions; each is as large as its model. */
const keptGraphs = 4

/**
 * Writes `kept`.onnx and `kept`.weights, and their digests last, so that a start never trusts half of them. Rejects where
 * the folder cannot be written.
 */
export async function keepGraph(kept: string, graph: Graph): Promise<void> {
  const folder = dirname(kept)
  await mkdir(folder, { recursive: true })
  const { onnx, weights } = splitOnnx(graph, `${basename(kept)}.weights`)
  await writeBeside(`${kept}.weights`, weights)
  await writeBeside(`${kept}.onnx`, [onnx])
  await writeBeside(`${kept}.sha256`, [Buffer.from(`${digestOf([onnx])}\n${digestOf(weights)}`)])
  await removeOldest(folder)
}

function digestOf(pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return hash.digest('hex')
}

/** Whole or not at all, whoever else writes the same at this moment. */
async function writeBeside(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await writeFile(temporary, pieces)
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
    for (const ending of ['sha256', 'weights', 'onnx']) {
      await rm(join(folder, name.replace(/onnx$/, ending)), { force: true })
    }
  }
}
