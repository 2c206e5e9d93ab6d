import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { usableCores } from '../core/cores.ts'
import { sha256 } from '../core/digest.ts'

/** What a measurement on this machine ended with. */
export interface Choice {
  /** For the log: what was measured, or why nothing was. */
  readonly why: string
}

export interface ChoiceSubject<T extends Choice> {
  /** What is chosen: the beginning of the file's name. */
  readonly kind: string
  /** All that the choice depends on beside the machine. */
  readonly of: readonly (string | number)[]
  /** Whether what a file holds is a choice that can be taken. */
  readonly usable: (stored: Partial<Record<keyof T, unknown>>) => boolean
  /** Measures; undefined where nothing could be compared. */
  readonly measure: () => Promise<T | undefined>
}

/**
 * A choice that is measured once on a machine and then read from `folder`. Never throws for what is in the folder or
 * that it cannot be written; throws what measuring throws.
 */
export async function rememberedChoice<T extends Choice>(
  folder: string,
  { kind, of, usable, measure }: ChoiceSubject<T>,
): Promise<T | undefined> {
  const machine = [cpus()[0]?.model ?? '', usableCores()]
  const digest = sha256(JSON.stringify([...machine, ...of])).slice(0, 32)
  const path = join(folder, `${kind}-${digest}.json`)
  const known = await readChoice<T>(path)
  if (known !== undefined && usable(known)) {
    return { ...known, why: `at an earlier start ${known.why.slice(0, 500)}` }
  }
  const choice = await measure()
  if (choice !== undefined) await writeChoice(folder, path, choice)
  return choice
}

async function readChoice<T extends Choice>(path: string): Promise<T | undefined> {
  try {
    const stored = JSON.parse(await readFile(path, 'utf8')) as Partial<T> | null
    return typeof stored?.why === 'string' ? (stored as T) : undefined
  } catch {
    return undefined
  }
}

async function writeChoice(folder: string, path: string, choice: Choice): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
    await writeFile(path, `${JSON.stringify(choice)}\n`)
  } catch {
    // the next start measures again
  }
}
