/** Fields of a log line. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * What components log to. Levels: error = data was lost or an operator must act; warn = unexpected, nothing lost; info =
 * a normal change of state; debug = for whoever looks for a fault, never once per batch.
 */
export interface Logger {
  error(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  debug(fields: LogFields, message: string): void
  /** A logger of one module, whose level can be set apart. */
  child(module: string, fields?: LogFields): Logger
}

/** Logs nothing. */
export const silent: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silent,
}
