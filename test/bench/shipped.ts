import { join } from 'node:path'
import { packageRoot } from '../../src/core/paths.ts'

/** The encoder of the repository. */
export const shippedEncoder = join(packageRoot, 'models', 'minilm-l6', '1')

/** The labelled texts of the repository. */
export const shippedTexts = join(packageRoot, 'examples', 'advice', 'texts.jsonl')
