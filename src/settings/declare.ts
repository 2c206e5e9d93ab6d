import type { z } from 'zod'

/** One setting, declared once: its type, default, help, environment name and flag all come from here. */
export interface Declaration<Schema extends z.ZodType = z.ZodType> {
  readonly schema: Schema
  readonly default: z.output<Schema>
  readonly help: string
  /** Environment variable, where it is not LABELSTREAM_ and the key (Kafka's own names). */
  readonly env?: string
  /** Never printed, never logged. */
  readonly secret?: boolean
}

export function setting<Schema extends z.ZodType>(
  schema: Schema,
  rest: Omit<Declaration<Schema>, 'schema'>,
): Declaration<Schema> {
  return { schema, ...rest }
}

const words = (key: string): string[] =>
  key.split('.').flatMap((part) => part.split(/(?=[A-Z])/).map((word) => word.toLowerCase()))

/** `batch.maxWaitMs` -> `--batch-max-wait-ms` */
export const flagOf = (key: string): string => `--${words(key).join('-')}`

/** `batch.maxWaitMs` -> `LABELSTREAM_BATCH_MAX_WAIT_MS`, or the declared name. */
export const environmentNameOf = (key: string, declaration: Declaration): string =>
  declaration.env ?? `LABELSTREAM_${words(key).join('_').toUpperCase()}`
