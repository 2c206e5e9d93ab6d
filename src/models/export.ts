import { copyFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256OfFile } from '../core/digest.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { writeOnnx } from '../graph/onnx.ts'
import { buildFromFolder } from '../runtime/model-files.ts'
import type { Model } from './folder.ts'
import { cardFile, manifestFile } from './manifest.ts'
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

/**
 * Writes a verified model into the folder `out`, which must be new or empty; it appears whole or not at all. Returns its
 * files by name. Throws FILE_UNREADABLE where `out` holds something or cannot be written, MODEL_CORRUPT where a file was
 * changed since it was verified, and what `buildFromFolder` throws.
 */
export async function exportModel(
  model: Model,
  out: string,
  format: ExportFormat,
  precision: ExportPrecision,
): Promise<ExportedFile[]> {
  await refuseOccupied(out)
  const written = await writeWholeFolder(out, (folder) =>
    format === 'onnx' ? writeOnnxFolder(model, folder, precision) : copyVersion(model, folder),
  )
  if (!written) throw occupied(out)
  const names = (await readdir(out)).sort()
  return Promise.all(
    names.map(async (name) => ({
      name,
      bytes: (await stat(join(out, name))).size,
      sha256: await sha256OfFile(join(out, name)),
    })),
  )
}

/** model.onnx with its weights inside, and what a program needs beside it to turn texts into decisions. */
async function writeOnnxFolder(model: Model, folder: string, precision: ExportPrecision): Promise<void> {
  const request = { folder: model.folder, output: 'logits', expectedDigests: model.fileDigests } as const
  const { graph } = await buildFromFolder(request, precision, 'portable')
  await writeFile(join(folder, 'model.onnx'), writeOnnx(graph), { flush: true })
  const decision = decisionFor(model, precision)
  await writeFile(join(folder, 'decision.json'), `${JSON.stringify(decision, undefined, 2)}\n`, { flush: true })
  const copied = ['config.json', ...tokenizerFileNames, cardFile]
  await copyVerified(
    model,
    folder,
    copied.filter((name) => Object.hasOwn(model.fileDigests, name)),
  )
}

async function copyVersion(model: Model, folder: string): Promise<void> {
  await copyVerified(model, folder, Object.keys(model.fileDigests))
  await copyFile(join(model.folder, manifestFile), join(folder, manifestFile))
}

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
