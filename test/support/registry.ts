import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after } from 'node:test'
import { promisify } from 'node:util'
import { waitUntil } from '../../src/core/clock.ts'
import { packageRoot } from '../../src/core/paths.ts'
import { freePorts } from '../../src/kafka/local-ports.ts'

const version = '2.6.13.Final'
const cache = join(packageRoot, '.labelstream')
const folder = join(cache, `registry-${version}`)

export interface RunningRegistry {
  /** Address of its Confluent API. */
  readonly url: string
  stop(): Promise<void>
}

let started: Promise<RunningRegistry> | undefined

/** A real schema registry (Apicurio, in memory) that this test file works with; stopped after its tests. */
export function testRegistry(): Promise<RunningRegistry> {
  started ??= startRegistry()
  return started
}

// registered while the file loads, so that it belongs to the whole file
after(async () => {
  const registry = await started?.catch(() => undefined)
  await registry?.stop()
})

/** Starts a registry on a free port; ready in about 5 s. Needs Java 17, and Maven the first time (142 MB). */
export async function startRegistry(): Promise<RunningRegistry> {
  await fetchRegistry()
  const [port = 0] = await freePorts(1)
  const java = `java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dquarkus.http.host=127.0.0.1 \
    -Dquarkus.http.port=${String(port)} -jar apicurio-registry-app-${version}-runner.jar`
  // `cat` ends when our end of the pipe is closed, which the system does even if we are killed
  const shell = spawn('sh', ['-c', `${java} > /dev/null 2>&1 & pid=$!; cat; kill $pid; wait $pid`], {
    cwd: folder,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const ended = once(shell, 'exit')
  const stop = async (): Promise<void> => {
    shell.stdin.end()
    await ended
  }
  const url = `http://127.0.0.1:${String(port)}/apis/ccompat/v7`
  const answers = (): Promise<boolean> =>
    fetch(`${url}/subjects`, { signal: AbortSignal.timeout(2_000) }).then(
      (response) => response.ok,
      () => false,
    )
  try {
    await waitUntil(answers, {
      timeoutMs: 90_000,
      everyMs: 100,
      onTimeout: () =>
        new Error('the schema registry did not start within 90 s; does `java -version` say 17?'),
    })
  } catch (error) {
    await stop()
    throw error
  }
  return { url, stop }
}

async function fetchRegistry(): Promise<void> {
  if (await isThere()) return
  await mkdir(cache, { recursive: true })
  const fresh = await mkdtemp(join(cache, 'registry-fetching-'))
  const pom = join(packageRoot, 'deploy', 'registry', 'pom.xml')
  try {
    await promisify(execFile)('mvn', ['-q', '-B', '-f', pom, `-Dregistry.folder=${fresh}`, 'package'])
    // another process may have been quicker
    await rename(fresh, folder).catch(async (error: unknown) => {
      if (!(await isThere())) throw error
    })
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}

async function isThere(): Promise<boolean> {
  return access(join(folder, `apicurio-registry-app-${version}-runner.jar`)).then(
    () => true,
    () => false,
  )
}
