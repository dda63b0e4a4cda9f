/** Values of a configuration that must not be told, whoever would tell them: a component in an error, the log, its status. */
import type { LogFields, Logger } from './logger.ts'

/** Shorter ones (`1`, `true`, `4317`) are part of too many other texts; whoever may tell these asks before. */
const shortest = 6

/** Takes values out of texts. */
export class Concealed {
  /** What it was made of, to make another one in another thread. */
  readonly values: readonly (readonly [value: string, instead: string])[]
  /** What is looked for, the longest first, because one may be part of another; made when it is first asked for. */
  #sought: ReadonlyMap<string, string> | undefined

  /** `values` with what is told in the place of each. */
  constructor(values: Iterable<readonly [value: string, instead: string]>) {
    this.values = [...new Map(values)].filter(([value]) => value.trim().length >= shortest)
  }

  /** Whether there is nothing that must not be told. */
  get isEmpty(): boolean {
    return this.values.length === 0
  }

  /** The text without them. */
  tell(text: string): string {
    if (this.isEmpty) return text
    const small = text.toLowerCase()
    // Some capitals have small letters of another length: then places do not agree.
    let rest = small.length === text.length ? small : text
    let told = text
    for (const [value, instead] of this.#all()) {
      if (value.length > rest.length) continue
      for (let at = rest.indexOf(value); at >= 0; at = rest.indexOf(value, at + instead.length)) {
        told = told.slice(0, at) + instead + told.slice(at + value.length)
        // What is told instead is not looked through again.
        rest = rest.slice(0, at) + '\0'.repeat(instead.length) + rest.slice(at + value.length)
      }
    }
    return told
  }

  #all(): ReadonlyMap<string, string> {
    if (this.#sought !== undefined) return this.#sought
    const small = this.values.map(([value, instead]) => [value.trim().toLowerCase(), instead] as const)
    this.#sought = new Map(small.toSorted(([a], [b]) => b.length - a.length))
    return this.#sought
  }

  /** The value with all texts in it told. */
  tellAll(value: unknown): unknown {
    if (this.isEmpty) return value
    if (typeof value === 'string') return this.tell(value)
    if (typeof value === 'number') return this.#all().get(String(value)) ?? value
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
