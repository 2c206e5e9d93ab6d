import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { waitUntil } from '../../src/core/clock.ts'
import { packageRoot } from '../../src/core/paths.ts'

export interface MemberOptions {
  /** The program to run; a canary is a broken copy of it. */
  readonly cliFile: string
  /** Settings by their key. */
  readonly settings: Readonly<Record<string, string | number>>
  /** Where its log goes. */
  readonly logFile: string
  /** Its name in its requests to the brokers. */
  readonly clientId?: string
  readonly untilEnd?: boolean
}

/** One `labelstream run` as a process of its own, to be killed, frozen and started again. */
export class Member {
  readonly logFile: string
  readonly clientId: string
  readonly #child: ChildProcess
  #printed = ''
  #toldToEnd = false
  #exit: { code: number | null; signal: NodeJS.Signals | null } | undefined

  constructor({ cliFile, settings, logFile, clientId = 'labelstream', untilEnd = false }: MemberOptions) {
    this.logFile = logFile
    this.clientId = clientId
    const log = openSync(logFile, 'a')
    const all = { ...settings, 'kafka.clientId': clientId }
    const environment = Object.entries(all).map(([key, value]) => [environmentName(key), String(value)])
    this.#child = spawn(process.execPath, [cliFile, 'run', '--json', ...(untilEnd ? ['--until-end'] : [])], {
      cwd: packageRoot,
      env: { ...process.env, ...(Object.fromEntries(environment) as Record<string, string>) },
      stdio: ['ignore', 'pipe', log],
    })
    closeSync(log)
    endWithUs(this.#child)
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#printed += chunk.toString()))
    this.#child.once('exit', (code, signal) => {
      this.#exit = { code, signal }
    })
  }

  /** It ended, with an error, and nobody had told it to. */
  get endedByItself(): boolean {
    return this.#exit !== undefined && this.#exit.code !== 0 && !this.#toldToEnd
  }

  get running(): boolean {
    return this.#exit === undefined
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** The last thing it said. */
  get lastLine(): string {
    return this.log.trim().split('\n').at(-1) ?? ''
  }

  /** The inference process's id, as far as the system tells: the first child. */
  get inferencePid(): number | undefined {
    return this.inferencePids[0]
  }

  /** Two while another model is made ready, or the one before it has work left; the oldest first. */
  get inferencePids(): number[] {
    try {
      const children = readFileSync(`/proc/${this.#child.pid}/task/${this.#child.pid}/children`, 'utf8')
      return children.trim().split(' ').filter(Boolean).map(Number)
    } catch {
      return []
    }
  }

  /** What it logged, one object a line; the last line may not be whole yet. */
  get logged(): Readonly<Record<string, unknown>>[] {
    const lines = this.log.split('\n').slice(0, -1)
    return lines.flatMap((line) => {
      try {
        return [JSON.parse(line) as Record<string, unknown>]
      } catch {
        return []
      }
    })
  }

  get log(): string {
    return readFileSync(this.logFile, 'utf8')
  }

  signal(signal: NodeJS.Signals): void {
    if (signal === 'SIGTERM') this.#toldToEnd = true
    this.#child.kill(signal)
  }

  /** Ends it at once, with its inference process, as the out-of-memory killer or a dead machine would. */
  async kill(): Promise<void> {
    const inference = this.inferencePids
    this.#toldToEnd = true
    this.#child.kill('SIGKILL')
    for (const pid of inference) killQuietly(pid, 'SIGKILL')
    await this.ended(10_000)
  }

  /** Waits until it has partitions. */
  async assigned(timeoutMs = 180_000): Promise<void> {
    await waitUntil(() => !this.running || this.log.includes('partitions assigned'), {
      timeoutMs,
      onTimeout: () => new Error(`${this.logFile}: no partitions within ${timeoutMs} ms`),
    })
  }

  /** Waits for its end; resolves to its exit code and what it printed. */
  async ended(timeoutMs: number): Promise<{ code: number | null; printed: string }> {
    await waitUntil(() => !this.running, {
      timeoutMs,
      onTimeout: () =>
        new Error(
          `${this.logFile}: did not end within ${timeoutMs} ms, and printed ${this.#printed.length} characters\n${tail(this.log)}`,
        ),
    })
    return { code: this.#exit?.code ?? null, printed: this.#printed }
  }
}

/** Kills the member when this process ends, however that happens: the system closes the pipe that `cat` reads. */
function endWithUs(child: ChildProcess): void {
  if (child.pid === undefined) return
  const guard = spawn('sh', ['-c', `cat; kill -KILL ${child.pid}`], { stdio: ['pipe', 'ignore', 'ignore'] })
  guard.once('error', () => undefined)
  child.once('exit', () => {
    // `cat` alone: the shell would go on to its next command
    guard.kill('SIGKILL')
    guard.stdin.destroy()
  })
}

export function killQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it ended before
  }
}

export const logPath = (folder: string, name: string): string => join(folder, `${name}.log`)

const tail = (text: string): string => text.split('\n').slice(-15).join('\n')

/** `kafka.brokers` is KAFKA_BROKERS, `group` is LABELSTREAM_GROUP. */
function environmentName(key: string): string {
  const snake = key
    .replaceAll('.', '_')
    .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
    .toUpperCase()
  return key.startsWith('kafka.') ? snake : `LABELSTREAM_${snake}`
}
