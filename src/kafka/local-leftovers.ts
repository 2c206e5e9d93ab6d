import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const prefix = 'labelstream-kafka-'
const ownerName = 'owner.pid'

/** A fresh folder for a broker's data, marked with our process id; folders of processes that died go now. */
export async function makeBrokerFolder(): Promise<string> {
  await removeLeftovers()
  const folder = await mkdtemp(join(tmpdir(), prefix))
  await writeFile(join(folder, ownerName), String(process.pid))
  return folder
}

/** A broker ends with its owner (local-node.ts), but nobody is left to delete the data. */
async function removeLeftovers(): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => [])
  for (const name of names) {
    if (!name.startsWith(prefix)) continue
    const folder = join(tmpdir(), name)
    const owner = Number(await readFile(join(folder, ownerName), 'utf8').catch(() => ''))
    if (Number.isInteger(owner) && owner > 0 && !isAlive(owner)) {
      await rm(folder, { recursive: true, force: true }).catch(() => {})
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
