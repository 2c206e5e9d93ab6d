import { copyFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256OfFile } from '../core/digest.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { writeOnnx } from '../graph/onnx.ts'
import { hasStoredGraph, storedGraphFile } from '../runtime/model-config.ts'
import { buildFromFolder } from '../runtime/model-files.ts'
import { storedPrecisionOn } from '../runtime/precision.ts'
import { readStoredGraph } from '../runtime/stored-graph.ts'
import type { Model } from './folder.ts'
import { cardFile, type FileDigests, type Manifest, manifestFile } from './manifest.ts'
import { decisionFor } from './served-precision.ts'
import { tokenizerFileNames } from './tokenizer-files.ts'
import { writeWholeFolder } from './whole-folder.ts'

/** onnx: for ONNX Runtime alone. hugging-face: the version's folder as it is. */
export const exportFormats = ['onnx', 'hugging-face'] as const
export type ExportFormat = (typeof exportFormats)[number]

/** Of the graph of an ONNX export; the hugging-face folder holds the weights as they are. */
export const exportPrecisions = ['fp32', 'int8'] as const
export type ExportPrecision = (typeof exportPrecisions)[number]

export interface ExportedFile {
  readonly name: string
  readonly bytes: number
  readonly sha256: string
}

export interface Exported {
  readonly precision: string
  readonly files: readonly ExportedFile[]
}

/**
 * Writes a verified model into the folder `out`, which must be new or empty; it appears whole or not at all, with a
 * manifest, so that it can be imported again. Without a precision it is fp32, or that of a graph which is served as it
 * is. Throws FILE_UNREADABLE where `out` holds something or cannot be written, MODEL_CORRUPT where a file was
 * changed since it was verified, SETTING_INVALID for such a graph in another precision, and what `buildFromFolder` throws.
 */
export async function exportModel(
  model: Model,
  out: string,
  format: ExportFormat,
  precision?: ExportPrecision,
): Promise<Exported> {
  await refuseOccupied(out)
  let written: string = model.decision.precision
  const isWhole = await writeWholeFolder(out, async (folder) => {
    if (format === 'onnx') written = await writeOnnxFolder(model, folder, precision)
    else await copyVersion(model, folder)
  })
  if (!isWhole) throw occupied(out)
  const names = (await readdir(out)).sort()
  return { precision: written, files: await Promise.all(names.map((name) => described(out, name))) }
}

async function described(folder: string, name: string): Promise<ExportedFile> {
  const path = join(folder, name)
  return { name, bytes: (await stat(path)).size, sha256: await sha256OfFile(path) }
}

/** model.onnx with its weights inside, and what a program needs beside it to turn texts into decisions. */
async function writeOnnxFolder(
  model: Model,
  folder: string,
  wanted: ExportPrecision | undefined,
): Promise<string> {
  const { onnx, precision } = await portableGraph(model, wanted)
  await writeFile(join(folder, storedGraphFile), onnx, { flush: true })
  const decision = decisionFor(model, precision)
  await writeFile(join(folder, 'decision.json'), jsonText(decision), { flush: true })
  const copied = ['config.json', ...tokenizerFileNames, cardFile]
  await copyVerified(
    model,
    folder,
    copied.filter((name) => Object.hasOwn(model.fileDigests, name)),
  )
  const files: FileDigests = {}
  for (const file of (await readdir(folder)).sort()) {
    const { bytes, sha256 } = await described(folder, file)
    files[file] = { sha256, sizeBytes: bytes }
  }
  const manifest: Manifest = { ...model.manifest, files }
  // the graph is in one precision for good, and golden scores are those of fp32
  delete manifest.int8Check
  if (precision !== 'fp32') manifest.golden = []
  await writeFile(join(folder, manifestFile), jsonText(manifest), { flush: true })
  return precision
}

async function portableGraph(
  model: Model,
  wanted: ExportPrecision | undefined,
): Promise<{ readonly onnx: Uint8Array; readonly precision: string }> {
  const request = { folder: model.folder, output: 'logits', expectedDigests: model.fileDigests } as const
  if (hasStoredGraph(request)) {
    const { onnx, precision } = await readStoredGraph(request)
    return { onnx, precision: storedPrecisionOn('cpu', precision, wanted ?? 'auto') }
  }
  const precision = wanted ?? 'fp32'
  const { graph } = await buildFromFolder(request, precision, 'portable')
  return { onnx: writeOnnx(graph), precision }
}

async function copyVersion(model: Model, folder: string): Promise<void> {
  await copyVerified(model, folder, Object.keys(model.fileDigests))
  await copyFile(join(model.folder, manifestFile), join(folder, manifestFile))
}

const jsonText = (document: object): string => `${JSON.stringify(document, undefined, 2)}\n`

async function copyVerified(model: Model, folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await copyFile(join(model.folder, name), join(folder, name))
    if ((await sha256OfFile(join(folder, name))) === model.fileDigests[name]) continue
    throw new LabelstreamError('MODEL_CORRUPT', `${join(model.folder, name)} differs from its manifest`)
  }
}

async function refuseOccupied(out: string): Promise<void> {
  let present: string[]
  try {
    present = await readdir(out)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
    throw new LabelstreamError('FILE_UNREADABLE', `${out} cannot be written: ${messageOf(error)}`, {
      cause: error,
    })
  }
  if (present.length > 0) throw occupied(out)
}

const occupied = (out: string): LabelstreamError =>
  new LabelstreamError('FILE_UNREADABLE', `${out} is not empty: name a folder that is new or empty`)
