import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { waitUntil } from '../core/clock.ts'
import { sha256 } from '../core/digest.ts'
import { LabelstreamError, messageOf } from '../core/errors.ts'
import { packageRoot } from '../core/paths.ts'
import { requireMaven, runTool } from './local-tools.ts'

export const kafkaVersion = '4.4.0'

const pomFile = join(packageRoot, 'deploy', 'kafka', 'pom.xml')
const listName = 'complete.json'
const fetchTimeoutMs = 300_000

/** What lies in a finished cache folder: file name to size, and which pom it was made from. */
interface JarList {
  readonly pom: string
  readonly files: Readonly<Record<string, number>>
}

/**
 * The folder with the broker's jars; fetched with Maven the first time (43 MB), checked every time.
 * Several processes may ask at once: one fetches, the others wait for it.
 * Throws PREREQUISITE_MISSING without Maven, LOCAL_BROKER_FAILED when the fetch fails.
 */
export async function kafkaJars(onProgress: (message: string) => void = () => {}): Promise<string> {
  const cache = await cacheFolder()
  const folder = join(cache, `kafka-libs-${kafkaVersion}`)
  if (await isComplete(folder)) return folder
  await requireMaven()
  const lock = `${folder}.lock`
  if ((await takeLock(lock, () => isComplete(folder))) === 'done by another') return folder
  try {
    if (await isComplete(folder)) return folder
    onProgress(`fetching the Kafka ${kafkaVersion} jars with Maven (once, 43 MB)`)
    await fetchJars(cache, folder)
    return folder
  } finally {
    await rm(lock, { force: true })
  }
}

/** Whether the jars are here already, so that Maven is not needed. */
export async function kafkaJarsAreCached(): Promise<boolean> {
  return isComplete(join(await cacheFolder(), `kafka-libs-${kafkaVersion}`))
}

async function cacheFolder(): Promise<string> {
  const beside = join(packageRoot, '.labelstream')
  try {
    await mkdir(beside, { recursive: true })
    await access(beside, constants.W_OK)
    return beside
  } catch {
    // installed for all users: the package's own folder is read-only
    const own = join(homedir(), '.cache', 'labelstream')
    await mkdir(own, { recursive: true })
    return own
  }
}

async function isComplete(folder: string): Promise<boolean> {
  try {
    const list = JSON.parse(await readFile(join(folder, listName), 'utf8')) as JarList
    if (list.pom !== sha256(await readFile(pomFile))) return false
    const sizes = await Promise.all(
      Object.entries(list.files).map(async ([name, size]) => (await stat(join(folder, name))).size === size),
    )
    return sizes.every(Boolean)
  } catch {
    return false
  }
}

async function fetchJars(cache: string, folder: string): Promise<void> {
  const fresh = await mkdtemp(join(cache, 'kafka-libs-fetching-'))
  try {
    await runTool(
      'mvn',
      ['-B', '-q', '-f', pomFile, 'dependency:copy-dependencies', `-DoutputDirectory=${fresh}`],
      'fetching the Kafka jars with Maven',
    )
    const files: Record<string, number> = {}
    for (const name of await readdir(fresh)) files[name] = (await stat(join(fresh, name))).size
    if (files[`kafka_2.13-${kafkaVersion}.jar`] === undefined) {
      throw new LabelstreamError('LOCAL_BROKER_FAILED', `Maven fetched no kafka_2.13-${kafkaVersion}.jar`)
    }
    const list: JarList = { pom: sha256(await readFile(pomFile)), files }
    await writeFile(join(fresh, listName), JSON.stringify(list))
    await rm(folder, { recursive: true, force: true })
    await rename(fresh, folder)
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    if (error instanceof LabelstreamError) throw error
    throw new LabelstreamError(
      'LOCAL_BROKER_FAILED',
      `the Kafka jars cannot be kept in ${folder}: ${messageOf(error)}`,
    )
  }
}

/** Takes the lock file, or goes without it once `done` says that its holder has done the work. */
async function takeLock(lock: string, done: () => Promise<boolean>): Promise<'taken' | 'done by another'> {
  let taken = false
  await waitUntil(
    async () => {
      try {
        await writeFile(lock, String(process.pid), { flag: 'wx' })
        taken = true
        return true
      } catch {
        if (await done()) return true
        await dropLockOfDeadHolder(lock)
        return false
      }
    },
    {
      timeoutMs: fetchTimeoutMs,
      everyMs: 200,
      onTimeout: () =>
        new LabelstreamError(
          'LOCAL_BROKER_FAILED',
          `another process has been fetching the Kafka jars for ${fetchTimeoutMs / 1000} s; if there is none, delete ${lock}`,
        ),
    },
  )
  return taken ? 'taken' : 'done by another'
}

async function dropLockOfDeadHolder(lock: string): Promise<void> {
  const holder = Number(await readFile(lock, 'utf8').catch(() => ''))
  if (!Number.isInteger(holder) || holder <= 0) return
  try {
    process.kill(holder, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') await rm(lock, { force: true })
  }
}
