import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

const isRoot = process.getuid?.() === 0
/** In a mount namespace of its own: nobody else sees the file system, and it is gone when the program has ended. */
const unshare = ['--mount', '--propagation', 'private', ...(isRoot ? [] : ['--map-root-user'])]

/** Why there can be no small file systems here; undefined where there can. */
export function cannotMount(): string | undefined {
  const works = process.platform === 'linux' && spawnSync('unshare', [...unshare, 'true']).status === 0
  return works ? undefined : 'mounting needs Linux and the right to an own mount namespace (unshare --mount)'
}

/**
 * Runs a shell script while `folder` is an empty file system of `sizeBytes`; what the script wants to keep it has to
 * copy elsewhere. `$1`, `$2` and so on are `args`. Resolves to the script's exit code and what it said on stderr.
 */
export async function onSmallDisk(
  folder: string,
  sizeBytes: number,
  script: string,
  args: readonly string[],
): Promise<{ readonly status: number; readonly stderr: string }> {
  const mount = `mount -t tmpfs -o size=${sizeBytes} tmpfs "$0" || exit 99`
  const child = spawn('unshare', [...unshare, 'sh', '-c', `${mount}\n${script}`, folder, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [status] = (await once(child, 'close')) as [number | null]
  return { status: status ?? -1, stderr }
}
