import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../src/core/errors.ts'

const diskBytes = 256 * 1_048_576
/** Set in the process that has mounts of its own. */
const ownMounts = 'FAULT_OWN_MOUNTS'

/**
 * Runs this program once more, in a mount namespace of its own, and ends with its exit code: what is mounted there is
 * seen by nobody else and is gone when the last of its processes is. Does nothing where it runs in one already, and
 * where the system does not allow it; `cannotMount` says so later.
 */
export function withOwnMounts(): void {
  if (process.env[ownMounts] !== undefined || process.platform !== 'linux') return
  const isRoot = process.getuid?.() === 0
  const unshare = ['--mount', '--propagation', 'private', ...(isRoot ? [] : ['--map-root-user'])]
  if (spawnSync('unshare', [...unshare, 'true']).status !== 0) return
  const again = spawnSync('unshare', [...unshare, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [ownMounts]: 'yes' },
  })
  process.exit(again.status ?? 1)
}

/** Why there can be no small file systems here; undefined where there can. */
export function cannotMount(): string | undefined {
  return process.env[ownMounts] === undefined
    ? 'small file systems need Linux and the right to mount in an own namespace (unshare --mount)'
    : undefined
}

/** File systems in memory, each of which can be filled. Node `n` of a local cluster keeps its data on the n-th. */
export class SmallDisks {
  readonly folder: string
  readonly #disks: readonly string[]

  private constructor(folder: string, disks: readonly string[]) {
    this.folder = folder
    this.#disks = disks
  }

  /** Rejects where mounting is not allowed. */
  static async mount(count: number): Promise<SmallDisks> {
    const reason = cannotMount()
    if (reason !== undefined) throw new Error(reason)
    const folder = await mkdtemp(join(tmpdir(), 'fault-disks-'))
    const disks: string[] = []
    for (let number = 1; number <= count; number++) {
      const disk = join(folder, `node-${number}`, 'data')
      await mkdir(disk, { recursive: true })
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', disk])
      disks.push(disk)
    }
    return new SmallDisks(folder, disks)
  }

  /** Writes until nothing more goes on it. */
  async fill(index: number): Promise<void> {
    const piece = Buffer.alloc(1_048_576)
    for (let number = 0; ; number++) {
      try {
        await writeFile(this.#filler(index), piece, { flag: number === 0 ? 'w' : 'a' })
      } catch (error) {
        if (messageOf(error).includes('ENOSPC')) return
        throw error
      }
    }
  }

  async makeRoom(index: number): Promise<void> {
    await rm(this.#filler(index), { force: true })
  }

  async close(): Promise<void> {
    for (const disk of this.#disks) spawnSync('umount', ['--lazy', disk])
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 })
  }

  #filler(index: number): string {
    return join(this.#disks[index] ?? '', 'filler')
  }
}
