import { Presets, SingleBar } from 'cli-progress'
import { monotonicMs } from '../core/clock.ts'
import type { Logger } from '../telemetry/log.ts'

const logEveryMs = 30_000

/** Progress on stderr, one phase after the other: a bar on a terminal, elsewhere a log line now and then. */
export class ProgressBar {
  readonly #log: Logger
  readonly #bar: SingleBar | undefined
  #phase = ''
  #nextLogMs = monotonicMs() + logEveryMs

  constructor(log: Logger) {
    this.#log = log
    this.#bar = process.stderr.isTTY
      ? new SingleBar(
          {
            stream: process.stderr,
            format: '{phase} {bar} {value}/{total} {eta_formatted} {detail}',
            hideCursor: true,
          },
          Presets.shades_classic,
        )
      : undefined
  }

  update(progress: { phase: string; done: number; total: number; detail?: string }): void {
    const { phase, done, total, detail = '' } = progress
    if (this.#bar === undefined) {
      this.#logNowAndThen(`${phase} ${done}/${total} ${detail}`.trimEnd())
      return
    }
    if (phase !== this.#phase) {
      this.#bar.stop()
      this.#bar.start(total, done, { phase: phase.padEnd(8), detail })
      this.#phase = phase
    }
    this.#bar.setTotal(total)
    this.#bar.update(done, { detail })
  }

  close(): void {
    this.#bar?.stop()
  }

  #logNowAndThen(line: string): void {
    if (monotonicMs() < this.#nextLogMs) return
    this.#nextLogMs = monotonicMs() + logEveryMs
    this.#log.info(line)
  }
}

/** Work with a bar that is closed when it ends, however it does. */
export async function withProgress<Result>(
  log: Logger,
  work: (update: ProgressBar['update']) => Promise<Result>,
): Promise<Result> {
  const bar = new ProgressBar(log)
  try {
    return await work((progress) => {
      bar.update(progress)
    })
  } finally {
    bar.close()
  }
}
