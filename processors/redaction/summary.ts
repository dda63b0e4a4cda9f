import type { Arena } from '../../proto/actions.ts'
import { attributeTags, findAttribute } from '../../proto/attributes.ts'
import { compileEdits } from '../../proto/edits.ts'
import { encodeKeyValue, encodeValue, Range, readValue, type Value } from '../../proto/values.ts'

export const summaries = ['', 'silent', 'info', 'debug'] as const
export type SummaryLevel = (typeof summaries)[number]

/** What attributes of the summary are called: those of attributes, and those of the body. */
export const attributeNames = names('redaction')
export const bodyNames = names('redaction.body')
export type SummaryNames = ReturnType<typeof names>

function names(prefix: string) {
  const both = (what: string) => ({ keys: `${prefix}.${what}.keys`, count: `${prefix}.${what}.count` })
  return {
    redacted: both('redacted'),
    masked: both('masked'),
    allowed: both('allowed'),
    ignored: { keys: '', count: `${prefix}.ignored.count` },
  }
}

/** All that this processor writes; another one behind it lets them pass. */
export const ownKeys: readonly string[] = [attributeNames, bodyNames].flatMap(those =>
  Object.values(those).flatMap(({ keys, count }) => (keys === '' ? [count] : [keys, count])),
)

const kinds = ['redacted', 'masked', 'allowed', 'ignored'] as const
type Kind = (typeof kinds)[number]

/** Characters of keys that are told of one list: of more only the number is. */
const mostTold = 65_536

/** Counts what was done to one list of attributes, or to one body. */
export class RedactionSummary {
  readonly #level: SummaryLevel
  readonly #names: SummaryNames
  readonly #counts = { redacted: 0, masked: 0, allowed: 0, ignored: 0 }
  readonly #keys: Record<Kind, string[]> = { redacted: [], masked: [], allowed: [], ignored: [] }
  #told = 0

  constructor(level: SummaryLevel, those: SummaryNames) {
    this.#level = level
    this.#names = those
  }

  /** Whether keys are to be told. */
  get wantsKeys(): boolean {
    return this.#level === 'debug'
  }

  /** Whether there is anything to write. */
  get tells(): boolean {
    if (this.#level !== 'info' && this.#level !== 'debug') return false
    const { redacted, masked, allowed, ignored } = this.#counts
    return redacted + masked + allowed + ignored > 0
  }

  clear(): void {
    this.#told = 0
    for (const kind of kinds) {
      this.#counts[kind] = 0
      if (this.#keys[kind].length > 0) this.#keys[kind] = []
    }
  }

  add(kind: Kind, key: string): void {
    this.#counts[kind]++
    if (this.#level !== 'debug' || (this.#told += key.length) > mostTold) return
    this.#keys[kind].push(key)
  }

  /** Its attributes, as fields with `tag`, where nothing was summed up before. */
  fields(tag: number): Buffer[] {
    return this.#figures().map(([key, value]) => encodeKeyValue(tag, Buffer.from(key), encodeValue(value)))
  }

  /** Adds it to what the message between `start` and `end` says already. Its new content stands in `out`. */
  addTo(bytes: Buffer, start: number, end: number, tag: number, out: Arena): void {
    const range = new Range()
    let summed = false
    const told = this.#figures(key => {
      if (!findAttribute(bytes, start, end, tag, Buffer.from(key), range)) return undefined
      summed = true
      return readValue(range.bytes, range.start, range.end)
    })
    if (summed) {
      const actions = told.map(([key, value]) => ({ action: 'upsert', key, source: { value } }) as const)
      if (compileEdits(actions, tag).apply(bytes, start, end, out)) return
    }
    const fields = summed ? [] : this.fields(tag)
    out.begin(fields.reduce((size, field) => size + field.length, end - start))
    out.copy(bytes, start, end)
    for (const field of fields) out.put(field)
  }

  #figures(
    before: (key: string) => Value | undefined = () => undefined,
  ): [key: string, value: string | number | bigint][] {
    const told: [string, string | number | bigint][] = []
    for (const kind of kinds) {
      if (this.#counts[kind] === 0) continue
      const { keys, count } = this.#names[kind]
      if (this.#level === 'debug' && keys !== '') {
        const earlier = before(keys)
        const more = typeof earlier === 'string' && earlier !== '' ? earlier.split(',') : []
        told.push([keys, [...this.#keys[kind], ...more].toSorted().join(',')])
      }
      const earlier = before(count)
      const sum =
        typeof earlier === 'bigint' ? earlier + BigInt(this.#counts[kind]) : this.#counts[kind] + whole(earlier)
      told.push([count, sum])
    }
    return told
  }
}

/** An integer, 0 for anything else. */
const whole = (value: Value | undefined): number => (typeof value === 'number' && Number.isInteger(value) ? value : 0)

/** The tag of the attributes of a log record, where the summary of its body goes. */
export const recordTag = attributeTags.logRecord
