/** Reading what a page is asked for. What is wrong is told with the nearest right word. */
import { quoted, suggest } from '../config/nearest.ts'
import { parseDuration } from '../core/fields.ts'

/** How a question that cannot be answered is answered, as HTTP has it. */
export type Unanswered =
  | 400
  /** From here this may not be asked. */
  | 403
  | 404
  /** Not now: something else is going on. */
  | 409
  /** What it takes does not work at present. */
  | 503

/** A question that cannot be answered; the message is for whoever asked. */
export class QueryError extends Error {
  override name = 'QueryError'
  readonly code: Unanswered
  /** What to ask instead. */
  readonly hint: string | undefined

  constructor(code: Unanswered, message: string, hint?: string) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

/** What follows `?`, as a server parses it. */
export type RawQuery = Readonly<Record<string, unknown>>

/** What a command is told, as parameters of a query are. @throws QueryError */
export function wordsOf(body: Readonly<Record<string, unknown>>): RawQuery {
  const words = Object.entries(body).map(([key, value]): [string, string] => {
    if (typeof value === 'string') return [key, value]
    if (typeof value === 'number' || typeof value === 'boolean') return [key, String(value)]
    throw new QueryError(400, `\`${key}\` is neither a text, a number nor a boolean`)
  })
  return Object.fromEntries(words)
}

/** The parameters of one question, by name. */
export class Query {
  readonly #values: ReadonlyMap<string, string>

  /** @throws QueryError when there is a parameter that is not `known`, or one twice */
  constructor(raw: RawQuery, known: readonly string[]) {
    const values = new Map<string, string>()
    for (const [name, value] of Object.entries(raw)) {
      if (!known.includes(name)) {
        const hint = suggest(name, known, `parameters: ${quoted(known)}`)
        throw new QueryError(400, `there is no parameter \`${name}\``, hint)
      }
      if (typeof value !== 'string') throw new QueryError(400, `\`${name}\` is given twice; give it once`)
      // A parameter without a value asks for nothing.
      if (value !== '') values.set(name, value)
    }
    this.#values = values
  }

  text(name: string): string | undefined {
    return this.#values.get(name)
  }

  /** One of `words`; `what` says what they are. */
  word<W extends string>(name: string, words: readonly W[], what: string): W | undefined {
    const value = this.#values.get(name)
    if (value === undefined) return undefined
    const found = words.find(word => word === value)
    if (found !== undefined) return found
    const all = words.length === 0 ? undefined : `${name}: ${quoted(words)}`
    throw new QueryError(400, `\`${value}\` is no ${what}`, suggest(value, words, all))
  }

  /** A time in milliseconds since the epoch, given as RFC 3339 or as how long ago it was. */
  time(name: string, now = Date.now()): number | undefined {
    // In a query, the `+` of an offset stands for a space.
    const value = this.#values.get(name)?.replace(' ', '+')
    if (value === undefined) return undefined
    const ago = parseDuration(value)
    if (ago !== undefined) return now - Math.abs(ago)
    const time = /^\d{4}-\d\d-\d\d(?:[Tt].+(?:[Zz]|[+-]\d\d:\d\d))?$/.test(value) ? Date.parse(value) : Number.NaN
    if (!Number.isNaN(time)) return time
    const hint = 'write a time such as `2026-11-20T14:30:00Z`, or how long ago it was: `10m`, `1h30m`'
    throw new QueryError(400, `\`${name}\`: \`${value}\` is no time`, hint)
  }

  /** A duration in milliseconds. */
  duration(name: string): number | undefined {
    const value = this.#values.get(name)
    if (value === undefined) return undefined
    const milliseconds = parseDuration(value)
    if (milliseconds !== undefined && milliseconds >= 0) return milliseconds
    throw new QueryError(400, `\`${name}\`: \`${value}\` is no duration`, 'write one such as `30s` or `5m`')
  }

  /** A whole number from 1 to `most`. */
  count(name: string, most: number, otherwise: number): number {
    const value = this.#values.get(name)
    if (value === undefined) return otherwise
    const number = /^\d+$/.test(value) ? Number(value) : 0
    if (number >= 1 && number <= most) return number
    throw new QueryError(
      400,
      `\`${name}\`: \`${value}\` is no whole number from 1${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`}`,
    )
  }

  flag(name: string): boolean {
    return this.word(name, ['true', 'false'], `\`${name}\``) === 'true'
  }
}
