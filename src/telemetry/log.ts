import { createRequire } from 'node:module'
import pino from 'pino'
import type pretty from 'pino-pretty'

/** Loaded where lines are for people: services log JSON, and start sooner. */
const prettyLines = () => createRequire(import.meta.url)('pino-pretty') as typeof pretty

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Fields are names, counts and positions; never a text, never a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export type Logger = Readonly<Record<LogLevel, (message: string, fields?: LogFields) => void>>

/** A logger that writes to stderr: JSON lines, or coloured lines for a person at a terminal. */
export function createLogger(options: { level: LogLevel; format: 'auto' | 'json' | 'pretty' }): Logger {
  const usePretty = options.format === 'pretty' || (options.format === 'auto' && process.stderr.isTTY)
  const destination = usePretty
    ? prettyLines()({
        destination: 2,
        sync: true,
        colorize: process.stderr.isTTY,
        translateTime: 'HH:MM:ss.l',
        ignore: 'pid,hostname',
      })
    : pino.destination({ dest: 2, sync: true })
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    destination,
  )
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      logger[level](fields, message)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
