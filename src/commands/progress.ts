import { Presets, SingleBar } from 'cli-progress'

/** A progress bar on stderr, one phase after the other; nothing when stderr is not a terminal. */
export class ProgressBar {
  readonly #bar: SingleBar | undefined
  #phase = ''

  constructor() {
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
    if (phase !== this.#phase) {
      this.#bar?.stop()
      this.#bar?.start(total, done, { phase: phase.padEnd(8), detail })
      this.#phase = phase
    }
    this.#bar?.setTotal(total)
    this.#bar?.update(done, { detail })
  }

  close(): void {
    this.#bar?.stop()
  }
}
