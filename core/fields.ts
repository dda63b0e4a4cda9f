/** Field types of configurations: durations, sizes, secrets. Units and defaults are stated once, in the schema. */
import * as z from 'zod'

const units: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const durationText = /^-?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/

/** Milliseconds of a Go-style duration (`1h30m`, `200ms`); undefined when `text` is none. A bare number is nanoseconds. */
export function parseDuration(text: string | number): number | undefined {
  if (typeof text === 'number') return text / 1e6
  const trimmed = text.trim()
  if (trimmed === '0') return 0
  if (!durationText.test(trimmed)) return undefined
  let total = 0
  for (const [, amount, unit = ''] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    total += Number(amount) * (units[unit] ?? NaN)
  return trimmed.startsWith('-') ? -total : total
}

/** A duration as written in a configuration; milliseconds inside. Null is 0, as in the Collector. */
export function duration(what: { min?: number; exclusive?: boolean } = {}) {
  const { min = 0, exclusive = false } = what
  return z
    .union([z.string(), z.number(), z.null()], { error: 'expected a duration such as `5s` or `200ms`' })
    .transform((text, check) => {
      const value = text === null ? 0 : parseDuration(text)
      if (value === undefined) {
        const plain = 'is no duration; write a number with a unit, such as `5s` or `200ms`'
        check.addIssue({ code: 'custom', message: `\`${text}\` ${plain}`, params: { plain } })
        return z.NEVER
      }
      if (exclusive ? value <= min : value < min) {
        const message = `must be ${exclusive ? 'more than' : 'at least'} ${min}ms`
        check.addIssue({ code: 'custom', message, params: { plain: message } })
        return z.NEVER
      }
      return value
    })
    .meta({ type: 'string', format: 'duration' })
}

/** Stands for what is not shown. */
export const redacted = '[REDACTED]'

/** A value that never prints. Ask for it with `reveal`, at the last moment. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return redacted
  }

  toJSON(): string {
    return redacted
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return redacted
  }
}

/** A secret: password, token, key, header value. */
export const secret = () =>
  z
    .string()
    .transform(value => new Secret(value))
    .meta({ secret: true })

/** What is wrong with a credential that is empty. */
export const emptyCredential =
  'it is empty, and an empty credential is none; set the variable or file it comes from, or remove the key'

/** A secret that lets in or is let in. One without a letter is refused: it would be equal to nothing at all. */
export const credential = () =>
  secret().refine(value => value.reveal().trim() !== '', { error: emptyCredential, abort: true })

/** Metadata of a value that decides what is dropped: a variable for it that is not set is an error, and not the value 0. */
export const decidesDrops = { deciding: true } as const

/** A whole number. An unquoted float is truncated and null is 0, as in the Collector. */
export const int = (min?: number) => {
  const number = z
    .union([z.number(), z.null()], { error: 'expected a whole number' })
    .transform(n => Math.trunc(n ?? 0))
  return min === undefined ? number : number.refine(n => n >= min, { error: `must be at least ${min}` })
}

/** A list of texts; one text is split at commas, as in the Collector. */
export const texts = () =>
  z.union(
    [
      z.array(z.string()),
      z.string().transform(text =>
        text
          .split(',')
          .map(part => part.trim())
          .filter(part => part !== ''),
      ),
    ],
    {
      error: 'expected a list of texts',
    },
  )
