import { mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { sha256 } from '../core/digest.ts'
import { messageOf } from '../core/errors.ts'
import { type Tensor, readSafetensors, writeSafetensors } from '../formats/safetensors.ts'
import type { TrainerState } from './encoder-trainer.ts'

const fileSchema = z.object({ file: z.string(), sha256: z.string() })

const progressSchema = z.object({
  /** The last optimiser step taken. */
  step: z.int().min(0),
  /** Losses of the epoch under way. */
  lossSum: z.number(),
  lossCount: z.int().min(0),
  tokens: z.int().min(0),
  seconds: z.number().min(0),
  history: z.array(
    z.object({ epoch: z.int(), trainLoss: z.number(), devLoss: z.number(), devScore: z.number() }),
  ),
  bestEpoch: z.int().min(0),
})

const documentSchema = z.object({
  format: z.literal(1),
  progress: progressSchema,
  state: fileSchema,
  best: fileSchema.optional(),
})

/** How far a training has come, besides its arrays. */
export type CheckpointProgress = z.infer<typeof progressSchema>

export interface Checkpoint {
  readonly progress: CheckpointProgress
  readonly state: TrainerState
  /** The best parameters so far; undefined before the first evaluation. */
  readonly best: TrainerState | undefined
}

const documentFile = 'checkpoint.json'

/**
 * One training's checkpoint on disk. Files of arrays are written under new names, then checkpoint.json, which
 * names them with their SHA-256, is replaced by rename: a kill at any moment leaves the old one or the new one.
 */
export class CheckpointFolder {
  readonly #path: string
  /** Where the best parameters of which epoch were written. */
  #best: { readonly epoch: number; readonly file: z.infer<typeof fileSchema> } | undefined

  constructor(path: string) {
    this.#path = path
  }

  /**
   * The checkpoint, or undefined where there is none, or none that fits its digests: `onDamage` hears why, and
   * training starts anew.
   */
  async read(onDamage: (reason: string) => void): Promise<Checkpoint | undefined> {
    const text = await readFile(join(this.#path, documentFile), 'utf8').catch(() => undefined)
    if (text === undefined) return undefined
    try {
      const { state, best, progress } = documentSchema.parse(JSON.parse(text))
      const checkpoint = {
        progress,
        state: await this.#readArrays(state),
        best: best === undefined ? undefined : await this.#readArrays(best),
      }
      this.#best = best === undefined ? undefined : { epoch: progress.bestEpoch, file: best }
      return checkpoint
    } catch (error) {
      onDamage(messageOf(error))
      return undefined
    }
  }

  /** Replaces the checkpoint. Throws the file system's error; what was there before stays then. */
  async write({ progress, state, best }: Checkpoint): Promise<void> {
    await mkdir(this.#path, { recursive: true })
    if (best !== undefined && this.#best?.epoch !== progress.bestEpoch) {
      const file = await this.#writeArrays(`best-${progress.bestEpoch}.safetensors`, best)
      this.#best = { epoch: progress.bestEpoch, file }
    }
    const written = {
      format: 1,
      progress,
      state: await this.#writeArrays(`state-${progress.step}.safetensors`, state),
      ...(this.#best === undefined ? {} : { best: this.#best.file }),
    } satisfies z.infer<typeof documentSchema>
    await this.#replace(documentFile, new TextEncoder().encode(JSON.stringify(written)))
    const kept = [documentFile, written.state.file, this.#best?.file.file]
    for (const file of await readdir(this.#path)) {
      if (!kept.includes(file)) await rm(join(this.#path, file), { force: true })
    }
  }

  /** Removes it: the training has ended. */
  async remove(): Promise<void> {
    await rm(this.#path, { recursive: true, force: true })
  }

  async #readArrays({ file, sha256: digest }: z.infer<typeof fileSchema>): Promise<TrainerState> {
    const bytes = await readFile(join(this.#path, file))
    if (sha256(bytes) !== digest) throw new RangeError(`${file} is damaged`)
    return new Map([...readSafetensors(bytes)].map(([name, tensor]) => [name, arrayOf(tensor)]))
  }

  async #writeArrays(file: string, arrays: TrainerState): Promise<z.infer<typeof fileSchema>> {
    const bytes = writeSafetensors(new Map([...arrays].map(([name, values]) => [name, tensorOf(values)])))
    await this.#replace(file, bytes)
    return { file, sha256: sha256(bytes) }
  }

  async #replace(file: string, bytes: Uint8Array): Promise<void> {
    const temporary = join(this.#path, `${file}.tmp`)
    try {
      const handle = await open(temporary, 'w')
      try {
        await handle.writeFile(bytes)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, join(this.#path, file))
    } catch (error) {
      // A full disk needs the room.
      await rm(temporary, { force: true })
      throw error
    }
  }
}

const tensorOf = (values: Float32Array | Int32Array): Tensor => ({
  dtype: values instanceof Float32Array ? 'F32' : 'I32',
  shape: [values.length],
  data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
})

function arrayOf({ dtype, data }: Tensor): Float32Array | Int32Array {
  // A copy of its own: a Buffer's slice would be a view.
  const copy = new Uint8Array(data).buffer
  return dtype === 'I32' ? new Int32Array(copy) : new Float32Array(copy)
}
