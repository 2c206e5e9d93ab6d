import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeOwnedFolder } from '../core/owned-folder.ts'
import type { Matrix } from '../evaluation/matrix.ts'
import { TextRunner, type TextRunnerOptions } from '../models/text-runner.ts'
import type { Output } from '../runtime/messages.ts'

/** A version's files as they will be written: config.json, model.safetensors, the tokenizer's. */
export interface UnwrittenModel {
  readonly files: ReadonlyMap<string, Uint8Array | string>
  readonly maxTokens: number
}

/** Logits [texts, labels] of a version before it is one, as a served one gives them. Throws what inference throws. */
export const logitsOfUnwritten = (
  model: UnwrittenModel,
  texts: readonly string[],
  options: TextRunnerOptions,
): Promise<Matrix> => valuesOfUnwritten(model, 'logits', texts, options)

/** A row of the output a text. Throws what inference throws. */
export async function valuesOfUnwritten(
  { files, maxTokens }: UnwrittenModel,
  output: Output,
  texts: readonly string[],
  options: TextRunnerOptions,
): Promise<Matrix> {
  const folder = await makeOwnedFolder(tmpdir(), 'labelstream-unwritten-')
  try {
    for (const [name, content] of files) await writeFile(join(folder, name), content)
    const runner = await TextRunner.start({ folder, fileDigests: {}, maxTokens }, output, options)
    return (await runner.run(texts).finally(() => runner.close())).values
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
