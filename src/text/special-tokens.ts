import { z } from 'zod'
import { LabelstreamError } from '../core/errors.ts'

/** Token ids put around every window, such as [CLS] and [SEP]. */
export interface SpecialTokens {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/** Ids go to the encoder as 32-bit integers. */
export const tokenId = z
  .int()
  .min(0)
  .max(2 ** 31 - 1)
/** Around each window; more would be no special tokens. */
const maxTokensAround = 64
/** Processors within processors; real ones have one level. */
const maxDepth = 8

const named = z.tuple([z.string(), tokenId])
const templateSchema = z.object({
  type: z.literal('TemplateProcessing'),
  single: z
    .array(
      z.union([
        z.object({ SpecialToken: z.object({ id: z.string() }) }),
        z.object({ Sequence: z.object({ id: z.string() }) }),
      ]),
    )
    .max(maxTokensAround),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(tokenId).max(maxTokensAround) })),
})
const aroundSchema = z.object({
  type: z.enum(['BertProcessing', 'RobertaProcessing']),
  cls: named,
  sep: named,
})
const sequenceSchema = z.object({
  type: z.literal('Sequence'),
  processors: z.array(z.unknown()).max(maxTokensAround),
})
const byteLevelSchema = z.object({ type: z.literal('ByteLevel') })
const processorSchema = z.union([templateSchema, aroundSchema, sequenceSchema, byteLevelSchema])

const none: SpecialTokens = { before: [], after: [] }

/**
 * The special tokens of one text as the post-processor of tokenizer.json puts them: TemplateProcessing (its
 * `single` template), BertProcessing, RobertaProcessing, or a Sequence of these; null is none. Throws
 * MODEL_UNSUPPORTED.
 */
export function readSpecialTokens(postProcessor: unknown): SpecialTokens {
  const special = specialTokensOf(postProcessor, 0)
  if (special.before.length + special.after.length <= maxTokensAround) return special
  throw new LabelstreamError(
    'MODEL_UNSUPPORTED',
    `tokenizer.json: post_processor puts more than ${maxTokensAround} special tokens around a text`,
  )
}

function specialTokensOf(postProcessor: unknown, depth: number): SpecialTokens {
  if (postProcessor === null || postProcessor === undefined) return none
  const parsed = processorSchema.safeParse(postProcessor)
  if (!parsed.success || depth > maxDepth) {
    throw new LabelstreamError(
      'MODEL_UNSUPPORTED',
      'tokenizer.json: post_processor must be TemplateProcessing, BertProcessing, RobertaProcessing or a Sequence of them',
    )
  }
  const processor = parsed.data
  switch (processor.type) {
    case 'ByteLevel':
      return none
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { before: [processor.cls[1]], after: [processor.sep[1]] }
    case 'Sequence':
      return processor.processors
        .map((inner) => specialTokensOf(inner, depth + 1))
        .reduce(
          // a later processor puts its tokens around what the earlier ones made
          (inner, outer) => ({
            before: [...outer.before, ...inner.before],
            after: [...inner.after, ...outer.after],
          }),
          none,
        )
    case 'TemplateProcessing':
      return fromTemplate(processor)
  }
}

function fromTemplate(template: z.infer<typeof templateSchema>): SpecialTokens {
  const text = template.single.findIndex((item) => 'Sequence' in item)
  const idsOf = (items: typeof template.single): number[] =>
    items.flatMap((item) => {
      if (!('SpecialToken' in item)) {
        throw new LabelstreamError(
          'MODEL_UNSUPPORTED',
          'tokenizer.json: the single template names more than one text',
        )
      }
      const token = template.special_tokens[item.SpecialToken.id]
      if (token === undefined) {
        throw new LabelstreamError(
          'MODEL_CORRUPT',
          `tokenizer.json: the template names ${item.SpecialToken.id}, which special_tokens does not have`,
        )
      }
      return token.ids
    })
  if (text < 0) {
    throw new LabelstreamError('MODEL_CORRUPT', 'tokenizer.json: the single template has no text in it')
  }
  return { before: idsOf(template.single.slice(0, text)), after: idsOf(template.single.slice(text + 1)) }
}
