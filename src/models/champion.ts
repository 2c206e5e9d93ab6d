import { randomBytes } from 'node:crypto'
import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { readFileLimited } from '../core/files.ts'
import { isName, modelFolder, versionFolder } from './names.ts'
import { verifyFolder } from './verify.ts'

const championFile = 'champion'
/** Versions that were champion, oldest first, one a line; the last is the present one. */
const historyFile = 'champion-history'
/** Tens of thousands of promotions. */
const maxNamesBytes = 1_048_576

/** The version that `run` serves, or undefined when none was promoted. Throws MODEL_CORRUPT for a bad file. */
export async function readChampion(modelsFolder: string, name: string): Promise<string | undefined> {
  const path = join(modelFolder(modelsFolder, name), championFile)
  const version = (await readNames(path))?.trim()
  if (version === undefined) return undefined
  if (isName(version)) return version
  throw new LabelstreamError('MODEL_CORRUPT', `${path} does not hold a version name`)
}

/**
 * A text that changes whenever a version is promoted, also the same one again, or a file of the champion changes;
 * undefined while there is no champion. Looks at the files' states and reads none of them but the champion's name.
 * Never rejects.
 */
export async function championMark(modelsFolder: string, name: string): Promise<string | undefined> {
  const promoted = await stateOf(join(modelFolder(modelsFolder, name), championFile))
  if (promoted === undefined) return undefined
  const version = await readChampion(modelsFolder, name).catch(() => undefined)
  if (version === undefined) return promoted
  const folder = versionFolder(modelsFolder, name, version)
  const files = (await readdir(folder).catch(() => [])).sort()
  const states = await Promise.all(files.map((file) => stateOf(join(folder, file))))
  return [promoted, version, ...files.map((file, index) => `${file} ${states[index]}`)].join('\n')
}

/** Another text for another file and for other content, as far as the file system tells. */
const stateOf = (path: string): Promise<string | undefined> =>
  stat(path).then(
    ({ ino, size, mtimeMs, ctimeMs }) => `${ino} ${size} ${mtimeMs} ${ctimeMs}`,
    () => undefined,
  )

/** Makes a version the champion once its files have passed verification. Throws as `verifyFolder`. */
export async function promote(modelsFolder: string, name: string, version: string): Promise<void> {
  const folder = versionFolder(modelsFolder, name, version)
  const { manifest } = await verifyFolder(folder)
  if (manifest.kind !== 'classifier') {
    throw new LabelstreamError('MODEL_UNSUPPORTED', `${folder} is an encoder; only a trained model can be champion`)
  }
  const history = await readHistory(modelsFolder, name)
  await writeHistory(modelsFolder, name, [...history.filter((other) => other !== version), version])
  await replaceFile(join(modelFolder(modelsFolder, name), championFile), `${version}\n`)
}

/** Makes a version of an encoder what its name means, unless there is an older one that it means. */
export async function nameFirstVersion(modelsFolder: string, name: string, version: string): Promise<void> {
  if ((await readChampion(modelsFolder, name)) !== undefined) return
  await replaceFile(join(modelFolder(modelsFolder, name), championFile), `${version}\n`)
}

/**
 * Makes the version that was champion before the present one champion again, and returns it.
 * Throws MODEL_NOT_FOUND when there is none.
 */
export async function rollback(modelsFolder: string, name: string): Promise<string> {
  const champion = await readChampion(modelsFolder, name)
  const history = (await readHistory(modelsFolder, name)).filter((version) => version !== champion)
  const previous = history.at(-1)
  if (previous === undefined) {
    throw new LabelstreamError('MODEL_NOT_FOUND', `model ${name} has no earlier champion to go back to`)
  }
  await promote(modelsFolder, name, previous)
  await writeHistory(modelsFolder, name, history)
  return previous
}

async function readHistory(modelsFolder: string, name: string): Promise<string[]> {
  const path = join(modelFolder(modelsFolder, name), historyFile)
  return ((await readNames(path)) ?? '').split('\n').filter(isName)
}

/** The text of a file of names; undefined when there is none. Throws FILE_UNREADABLE when it is far too large. */
async function readNames(path: string): Promise<string | undefined> {
  try {
    return (await readFileLimited(path, maxNamesBytes)).toString('utf8')
  } catch (error) {
    if (error instanceof LabelstreamError) throw error
    return undefined
  }
}

const writeHistory = (modelsFolder: string, name: string, versions: readonly string[]): Promise<void> =>
  replaceFile(
    join(modelFolder(modelsFolder, name), historyFile),
    versions.map((version) => `${version}\n`).join(''),
  )

/** Readers see the old content or the new, never a part: written beside and renamed. */
async function replaceFile(path: string, content: string): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await writeFile(temporary, content, { flush: true })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw new LabelstreamError('FILE_UNREADABLE', `${path} cannot be written: ${messageOf(error)}`, { cause: error })
  }
}
