/** What happened to the process, on one time axis: the last of it, in memory. */
import type { Clock } from './clock.ts'
import { HostKey } from './host.ts'
import type { LogFields } from './logger.ts'

/** What an entry is about. */
export const occurrenceKinds = [
  /** It starts, is ready, stops; a fault of Kymo. */
  'process',
  /** A component is in another state. */
  'component',
  /** A destination takes nothing, or takes data again. */
  'circuit',
  /** Senders are refused for want of something, or no longer. */
  'refusal',
  /** A storage takes nothing, or takes data again. */
  'storage',
  /** A configuration was taken over, or was not. */
  'reload',
  /** The level of a log was changed for a time, or given back. */
  'log',
  /** Somebody did something through the admin server. */
  'action',
] as const

/** One of these. */
export type OccurrenceKind = (typeof occurrenceKinds)[number]

/** What is told of something that happened. */
export interface ToldOccurrence {
  readonly kind: OccurrenceKind
  /** Id of the component it is about. */
  readonly component?: string | undefined
  /** What happened, in words that are the same whenever it happens. */
  readonly text: string
  /** What differs from time to time, such as the error. */
  readonly detail?: string | undefined
  readonly fields?: LogFields
}

/** One entry. Times are milliseconds since the epoch. */
export interface Occurrence extends ToldOccurrence {
  /** Grows from entry to entry; an entry that is repeated has a new one. */
  readonly id: number
  readonly first: number
  readonly last: number
  /** How often it happened between those two. */
  readonly times: number
}

/** Which entries. */
export interface ChronicleFilter {
  readonly kind?: OccurrenceKind | undefined
  readonly component?: string | undefined
  /** Not those that happened last before this time, in milliseconds since the epoch. */
  readonly since?: number | undefined
  /** Only those with a higher id. */
  readonly after?: number | undefined
  /** The newest so many. */
  readonly limit: number
}

/** Most entries, and most characters of all of them. */
export const mostOccurrences = 1000
const mostCharacters = 256 * 1024
/** Longest texts, and longest fields as JSON. */
const longestText = 300
const longestDetail = 1000
const longestFields = 4000
/** Milliseconds in which the same, the third time, is no entry of its own. */
export const foldWithin = 600_000

/** What the process knows of itself. */
export const chronicleKey = new HostKey<Chronicle>('chronicle')

/**
 * The last entries, in the order in which they happened last. The first time something happens stands by itself; what is the
 * same within ten minutes is one more entry, however often it comes, so that a component that flaps pushes nothing out.
 */
export class Chronicle {
  readonly #clock: Clock
  readonly #entries: Occurrence[] = []
  #characters = 0
  #ids = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Id of the newest entry. */
  get newest(): number {
    return this.#ids
  }

  /** Something has happened. */
  note(told: ToldOccurrence): void {
    const now = this.#clock.wall()
    const short = shortened(told)
    const again = this.#sameAs(short, now)
    const before = again === -1 ? undefined : this.#take(again)
    const { first = now, times = 0 } = before ?? {}
    const entry = { ...short, id: ++this.#ids, first, last: now, times: times + 1 }
    this.#entries.push(entry)
    this.#characters += costOf(entry)
    while (this.#entries.length > mostOccurrences || this.#characters > mostCharacters) this.#take(0)
  }

  /** The newest entries of a kind, the newest last. */
  find({ kind, component, since = -Infinity, after = 0, limit }: ChronicleFilter): Occurrence[] {
    const found: Occurrence[] = []
    for (const entry of this.#entries.toReversed()) {
      if (entry.id <= after || found.length >= limit) break
      if (entry.last < since) continue
      if (kind !== undefined && entry.kind !== kind) continue
      if (component !== undefined && !isAbout(entry, component)) continue
      found.push(entry)
    }
    return found.toReversed()
  }

  /** Where the entry stands that the same belongs to; -1 where it is one of its own. */
  #sameAs(told: ToldOccurrence, now: number): number {
    let latest = -1
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i]
      if (entry === undefined || now - entry.last > foldWithin) break
      if (!isSame(entry, told)) continue
      if (entry.times > 1) return i
      // The first one, and the second, which all others join.
      if (latest !== -1) return latest
      latest = i
    }
    return -1
  }

  #take(at: number): Occurrence | undefined {
    const [entry] = this.#entries.splice(at, 1)
    if (entry !== undefined) this.#characters -= costOf(entry)
    return entry
  }
}

function shortened({ kind, component, text, detail, fields }: ToldOccurrence): ToldOccurrence {
  return {
    kind,
    ...(component === undefined ? {} : { component }),
    text: cut(text, longestText),
    ...(detail === undefined ? {} : { detail: cut(detail, longestDetail) }),
    ...(fields === undefined ? {} : { fields: JSON.stringify(fields).length > longestFields ? tooLong : fields }),
  }
}

const tooLong = { too_long: true }

/** What somebody did is told with all that they said, however often it is done. */
const doneBySomebody: ReadonlySet<OccurrenceKind> = new Set(['reload', 'log', 'action'])

function isSame(entry: ToldOccurrence, told: ToldOccurrence): boolean {
  const { kind, component, text, detail, fields } = told
  if (entry.kind !== kind || entry.component !== component || entry.text !== text) return false
  if (!doneBySomebody.has(kind)) return true
  return entry.detail === detail && JSON.stringify(entry.fields) === JSON.stringify(fields)
}

/** Whether it is of a component, or names it. */
const isAbout = ({ component, text, detail = '' }: Occurrence, id: string): boolean =>
  component === id || `${text} ${detail}`.split(/[\s:,]+/).includes(id)

const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text)

/** Characters of an entry, with what its object takes. */
const costOf = ({ text, detail = '', fields = {} }: Occurrence): number =>
  100 + text.length + detail.length + JSON.stringify(fields).length
