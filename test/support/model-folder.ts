import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { plainDecision } from '../../src/models/decision.ts'
import { type WrittenVersion, writeVersion } from '../../src/models/versions.ts'

const folders: string[] = []

/** A new folder below the system's temporary one, removed when the test process ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'labelstream-'))
  if (folders.length === 0) process.on('exit', removeFolders)
  folders.push(folder)
  return folder
}

function removeFolders(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
}

/** Writes a version whose weights are a few bytes: enough for everything that does not run the model. */
export function writeTinyVersion(
  modelsFolder: string,
  options: { name?: string; weights?: string; created?: Date; labels?: string[] } = {},
): Promise<WrittenVersion> {
  const labels = options.labels ?? ['a', 'b']
  return writeVersion(modelsFolder, {
    details: {
      name: options.name ?? 'tiny',
      licence: 'Apache-2.0',
      maxTokens: 16,
      strategy: 'frozen-linear',
      hyperparameters: { epochs: 1 },
      metrics: {},
      golden: [],
    },
    decision: plainDecision(labels),
    files: new Map([
      ['config.json', JSON.stringify({ id2label: Object.fromEntries(labels.entries()) })],
      ['model.safetensors', options.weights ?? 'weights'],
    ]),
    created: options.created ?? new Date('2026-11-23T10:00:00Z'),
  })
}
