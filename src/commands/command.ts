import type { LoadedSettings } from '../settings/load.ts'
import type { Settings } from '../settings/catalogue.ts'
import type { Logger } from '../telemetry/log.ts'

/** What a command gets beside its own arguments. */
export interface CommandContext {
  readonly settings: Settings
  readonly loaded: LoadedSettings
  readonly log: Logger
  /** One JSON document on stdout instead of text for people. */
  readonly json: boolean
  /** Aborted by the first SIGINT or SIGTERM; its reason is the signal's name. A second signal ends the process. */
  readonly interrupted: AbortSignal
  /** A line for people on stdout; nothing with --json. */
  readonly print: (line: string) => void
  /** The document of --json; nothing without it. */
  readonly printJson: (document: unknown) => void
}

/** Values of a command's own options, by camel-cased long name. */
export type OptionValues = Readonly<Record<string, string | boolean | undefined>>

export interface CommandOption {
  /** As in `--data <source>`. */
  readonly flags: string
  readonly help: string
  readonly required?: boolean
}

/** One command: what the help says and what it does. */
export interface CommandSpec {
  /** One or two words, as in `models list`. */
  readonly name: string
  readonly summary: string
  /** Positional arguments, as in `<file>` or `[text...]`. */
  readonly arguments?: string
  readonly options?: readonly CommandOption[]
  /** Settings that matter here, by key or by prefix ending in a dot; only these are in the help. */
  readonly settings: readonly string[]
  /** Lines below the options: how it is used. */
  readonly examples?: readonly string[]
  readonly run: (
    context: CommandContext,
    positional: readonly string[],
    options: OptionValues,
  ) => Promise<void>
}
