import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

const ownerName = 'owner.pid'

/**
 * A fresh folder in `parent` whose name begins with `prefix`, marked with our process and host. Folders of that prefix
 * whose process died on this host are removed now: a killed process leaves nobody else to do it.
 */
export async function makeOwnedFolder(parent: string, prefix: string): Promise<string> {
  await removeLeftovers(parent, prefix)
  const folder = await mkdtemp(join(parent, prefix))
  await writeFile(join(folder, ownerName), `${process.pid} ${hostname()}`)
  return folder
}

async function removeLeftovers(parent: string, prefix: string): Promise<void> {
  const names = await readdir(parent).catch(() => [])
  for (const name of names) {
    if (!name.startsWith(prefix)) continue
    const folder = join(parent, name)
    const [pid, host] = (await readFile(join(folder, ownerName), 'utf8').catch(() => '')).split(' ')
    if (Number(pid) > 0 && host === hostname() && !isAlive(Number(pid))) {
      await rm(folder, { recursive: true, force: true }).catch(() => undefined)
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
