/** Values of a configuration that must not be told, whoever would tell them: a component in an error, the log, its status. */
import type { LogFields, Logger } from './logger.ts'

/** Shorter ones (`1`, `true`, `4317`) are part of too many other texts; whoever may tell these asks before. */
const shortest = 6

const literal = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')

/** Takes values out of texts. */
export class Concealed {
  readonly #instead = new Map<string, string>()
  readonly #pattern: RegExp | undefined

  /** `values` with what is told in the place of each. */
  constructor(values: Iterable<readonly [value: string, instead: string]>) {
    for (const [value, instead] of values) {
      const bare = value.trim().toLowerCase()
      if (bare.length >= shortest) this.#instead.set(bare, instead)
    }
    // The longest first: one may be part of another.
    const all = [...this.#instead.keys()].toSorted((a, b) => b.length - a.length)
    this.#pattern = all.length === 0 ? undefined : new RegExp(all.map(literal).join('|'), 'gi')
  }

  /** Whether there is anything that must not be told. */
  get isEmpty(): boolean {
    return this.#pattern === undefined
  }

  /** The text without them. */
  tell(text: string): string {
    if (this.#pattern === undefined) return text
    return text.replace(this.#pattern, found => this.#instead.get(found.toLowerCase()) ?? '[REDACTED]')
  }

  /** The value with all texts in it told. */
  tellAll(value: unknown): unknown {
    if (this.#pattern === undefined) return value
    if (typeof value === 'string') return this.tell(value)
    if (value instanceof Error) return this.#error(value)
    if (Array.isArray(value)) return value.map(item => this.tellAll(item))
    if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.tellAll(inner)]))
  }

  #error(error: Error): Error {
    const told = new Error(this.tell(error.message))
    told.name = error.name
    told.stack = this.tell(error.stack ?? '')
    return told
  }
}

/** A logger that tells what `concealed` lets through. */
export function concealing(log: Logger, concealed: Concealed | undefined): Logger {
  if (concealed === undefined || concealed.isEmpty) return log
  const fields = (given: LogFields) => concealed.tellAll(given) as LogFields
  return {
    error: (given, message) => log.error(fields(given), concealed.tell(message)),
    warn: (given, message) => log.warn(fields(given), concealed.tell(message)),
    info: (given, message) => log.info(fields(given), concealed.tell(message)),
    debug: (given, message) => log.debug(fields(given), concealed.tell(message)),
    child: (module, given) => concealing(log.child(module, given), concealed),
  }
}
