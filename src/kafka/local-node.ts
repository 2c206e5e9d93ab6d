import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { waitUntil } from '../core/clock.ts'
import { LabelstreamError } from '../core/errors.ts'
import { packageRoot } from '../core/paths.ts'
import { javaCommand, lastLines } from './local-tools.ts'

/** One broker of a local cluster. It can be ended and started again; its data stay. */
export interface LocalNode {
  /** Process id while it runs. */
  readonly pid: number | undefined
  /** Sends the signal and resolves when the process has ended (for SIGSTOP and SIGCONT: at once). */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Starts it again; resolves when the process is there, not when it serves. */
  start(): Promise<void>
}

const endTimeoutMs = 20_000

/** A broker as a Java process. Its output goes to broker.log in `folder`. */
export class JavaNode implements LocalNode {
  readonly #folder: string
  readonly #jars: string
  #child: ChildProcess | undefined

  constructor(folder: string, jars: string) {
    this.#folder = folder
    this.#jars = jars
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  // async because the interface is: a container takes time to start
  start(): Promise<void> {
    if (this.#child !== undefined) return Promise.resolve()
    const log = openSync(join(this.#folder, 'broker.log'), 'a')
    const child = spawn(
      javaCommand(),
      [
        ...['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
        `-Dlog4j2.configurationFile=${join(packageRoot, 'deploy', 'kafka', 'log4j2.yaml')}`,
        ...['-cp', join(this.#jars, '*'), 'kafka.Kafka', join(this.#folder, 'server.properties')],
      ],
      // in a process group of its own, so that Ctrl-C reaches only us and we end it in order
      { stdio: ['ignore', log, log], detached: true },
    )
    closeSync(log)
    this.#child = child
    const disarm = endWithUs(child)
    const forget = (): void => {
      disarm()
      if (this.#child === child) this.#child = undefined
    }
    child.once('exit', forget)
    child.once('error', forget)
    child.unref()
    return Promise.resolve()
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    child.kill(signal)
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return
    await waitUntil(() => this.#child !== child, {
      timeoutMs: endTimeoutMs,
      onTimeout: () =>
        new LabelstreamError('LOCAL_BROKER_FAILED', `process ${child.pid} does not end on ${signal}`),
    })
  }

  /** The end of broker.log on one line, without Java's stack traces. */
  async lastLog(): Promise<string> {
    const log = await readFile(join(this.#folder, 'broker.log'), 'utf8').catch(() => '')
    return lastLines(log.replaceAll(/^\s+at .*$/gm, ''), 6)
  }
}

/**
 * Ends the broker when this process ends, however that happens: an exit handler for orderly ends, and a
 * shell that reads from a pipe of ours, which the system closes even after SIGKILL.
 */
function endWithUs(child: ChildProcess): () => void {
  const atExit = (): void => {
    child.kill('SIGKILL')
  }
  process.once('exit', atExit)
  if (child.pid === undefined || process.platform === 'win32')
    return () => process.removeListener('exit', atExit)
  const guard = spawn('sh', ['-c', `cat; kill -KILL ${child.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guard.once('error', () => {
    // no shell: the exit handler has to do
  })
  guard.unref()
  if (guard.stdin instanceof Socket) guard.stdin.unref()
  return () => {
    process.removeListener('exit', atExit)
    // the group, so that its `cat` goes too
    if (guard.pid !== undefined) {
      try {
        process.kill(-guard.pid, 'SIGKILL')
      } catch {
        // gone already
      }
    }
  }
}
