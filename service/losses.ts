/** `/v1/losses`: what came in over a range of time, and what became of it; by reason, by place, or by whose it was. */
import { suggest } from '../config/nearest.ts'
import { Account } from '../core/account.ts'
import type { Books } from '../core/books.ts'
import type { Budget } from '../core/budget.ts'
import { type Clock, machineClock } from '../core/clock.ts'
import type { Journal } from '../core/journal.ts'
import { noAttribute } from '../proto/sample.ts'
import { allSignals, type Signal } from '../proto/signals.ts'
import type { Route } from './api.ts'
import {
  type LossTally,
  endings,
  type SeriesKind,
  Ledger,
  noEndings,
  type Period,
  type Series,
  weightOf,
} from './ledger.ts'
import { Query, type RawQuery } from './query.ts'
import { time } from './status.ts'
import { attributed, notTold } from './whose.ts'

/** How far back is looked unless it is said, in milliseconds. */
const usualRange = 900_000
/** Rows of a table, the largest first. */
const mostRows = 200
/** Words for attributes that are asked for most often. */
const attributes: ReadonlyMap<string, string> = new Map([
  ['namespace', 'k8s.namespace.name'],
  ['service', 'service.name'],
])

/** What may be asked by, besides any resource attribute. */
export const groupings = ['reason', 'component', 'receiver', 'signal', ...attributes.keys()]

/** What became of the items of one signal: the first five make as many as the rest. */
export interface SignalLosses {
  readonly signal: Signal
  readonly in: number
  /** Waited when the range began. */
  readonly waited: number
  /** Found on disk. */
  readonly recovered: number
  /** More, because they went to several pipelines or destinations. */
  readonly copied: number
  /** More, made of other data. */
  readonly made: number
  readonly delivered: number
  readonly dropped: number
  readonly rejected: number
  readonly dead_lettered: number
  readonly lost: number
  readonly refused: number
  /** Other data was made of them. */
  readonly made_into_other: number
  /** Left on disk for the next process. */
  readonly left: number
  readonly waiting: number
  /** Anything but 0 is a fault of Kymo. */
  readonly unaccounted: number
}

/** One row of a table: what it is of, and how many. */
export interface LossRow extends Readonly<LossTally> {
  readonly kind?: string
  readonly component?: string
  /** The pipeline, or the signal where there is none. */
  readonly of?: string
  readonly reason?: string
  readonly signal?: string
  /** Of the resource attribute that is asked by. */
  readonly value?: string
}

/** What the senders of one receiver were answered. */
export interface HeardTally {
  readonly receiver: string
  readonly signal: string
  readonly in: number
  readonly accepted: number
  readonly rejected: number
  readonly refused: number
}

/** The answer. */
export interface LossesDocument {
  readonly from: string | null
  readonly until: string | null
  /** The range begins with the process: it began later than was asked, or what lies between is not kept. */
  readonly since_start: boolean
  /** Rejected and lost: what nobody has any more, unless its sender keeps it. */
  readonly lost_for_good: number
  readonly signals: readonly SignalLosses[]
  readonly books_faults: readonly string[]
  /** Requests turned away at the door, by receiver and reason: most of them before anybody knew what was in them. */
  readonly turned_away: readonly { readonly receiver: string; readonly reason: string; readonly requests: number }[]
  readonly by: string
  readonly rows: readonly (LossRow | HeardTally)[]
  /** Rows that are not told because there are too many. */
  readonly more?: number
  /** By an attribute: of how many items its value is known, and how many there are. */
  readonly known?: { readonly items: number; readonly of: number }
  /** What may have been meant, where nothing has such an attribute. */
  readonly hint?: string
}

/** The books of one process over time, and the page that tells of them. */
export class Losses {
  readonly #books: Books
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #account: Account
  readonly #ledger: Ledger

  constructor(books: Books, journal: Journal, budget: Budget | undefined, clock: Clock = machineClock) {
    this.#books = books
    this.#journal = journal
    this.#clock = clock
    this.#account = new Account(budget, 'service', 'losses')
    this.#ledger = new Ledger(books, clock, this.#account)
  }

  start(): void {
    this.#ledger.start()
  }

  stop(): void {
    this.#ledger.stop()
    this.#account.close()
  }

  get routes(): readonly Route[] {
    return [{ path: '/v1/losses', answer: (_, query) => this.document(query) }]
  }

  /** @throws QueryError */
  document(raw: RawQuery): LossesDocument {
    const query = new Query(raw, ['since', 'by'])
    const now = this.#clock.wall()
    const range = this.#ledger.over(query.time('since', now) ?? now - usualRange)
    const by = query.text('by') ?? 'component,reason'
    const signals = allSignals.map(signal => this.#signal(signal, range)).filter(isBusy)
    const { rows, known } = this.#rows(by, range)
    return {
      from: time(range.from),
      until: time(range.until),
      since_start: range.isWhole,
      lost_for_good: signals.reduce((sum, { lost, rejected }) => sum + lost + rejected, 0),
      signals,
      books_faults: this.#books.faults(),
      turned_away: turnedAway(range),
      by,
      rows: rows.slice(0, mostRows),
      ...(rows.length > mostRows ? { more: rows.length - mostRows } : {}),
      ...(known === undefined ? {} : { known, ...hintOf(by, rows) }),
    }
  }

  #signal(signal: Signal, { changes }: Period): SignalLosses {
    const sums = new Map<SeriesKind, number>()
    for (const [{ what, signal: own, of }, items] of changes)
      if (own === signal && of === undefined) sums.set(what, (sums.get(what) ?? 0) + items)
    const sum = (what: SeriesKind): number => sums.get(what) ?? 0
    const waiting = this.#ledger.total('waiting', signal)
    const made = sum('made')
    const came = { in: sum('in'), waited: waiting - sum('waiting'), recovered: sum('recovered'), copied: sum('copied') }
    const ended = Object.fromEntries(endings.map(what => [what, sum(what)])) as LossTally
    const went = {
      delivered: sum('delivered'),
      ...ended,
      made_into_other: Math.max(0, -made),
      left: sum('left'),
      waiting,
    }
    const total = (terms: object): number => Object.values(terms).reduce((all: number, one: number) => all + one, 0)
    const more = { ...came, made: Math.max(0, made) }
    return { signal, ...more, ...went, unaccounted: total(more) - total(went) }
  }

  #rows(by: string, range: Period): Pick<LossesDocument, 'rows' | 'known'> {
    switch (by) {
      case 'component,reason':
        return { rows: grouped(range, series => ({ ...placeOf(series), reason: series.reason })) }
      case 'component':
        return { rows: grouped(range, placeOf) }
      case 'reason':
        return { rows: grouped(range, ({ reason }) => ({ reason })) }
      case 'signal':
        return { rows: grouped(range, ({ signal }) => ({ signal: signal ?? '' })) }
      case 'receiver':
        return { rows: byReceiver(range) }
      default:
        return attributed(attributes.get(by) ?? by, range, this.#journal)
    }
  }
}

/** An attribute may be one that no resource has; but it may be a misspelt word, too. */
function hintOf(by: string, rows: LossesDocument['rows']): { hint?: string } {
  const isKnown = rows.some(row => 'value' in row && row.value !== noAttribute && row.value !== notTold)
  const hint = isKnown || rows.length === 0 || attributes.has(by) ? undefined : suggest(by, groupings)
  return hint === undefined ? {} : { hint: `no resource has an attribute \`${by}\`; ${hint}` }
}

const isBusy = (terms: SignalLosses): boolean => Object.values(terms).some(one => typeof one === 'number' && one !== 0)

const placeOf = ({ node, signal }: Series) => ({
  kind: node?.kind ?? '',
  component: node?.id ?? 'other',
  of: node?.pipeline || (signal ?? ''),
})

/** What ended, put together by what `groupOf` says of it. */
function grouped({ changes }: Period, groupOf: (series: Series) => Partial<LossRow>): LossRow[] {
  const rows = new Map<string, Partial<LossRow> & LossTally>()
  for (const [series, items] of changes) {
    const ending = endings.find(one => one === series.what)
    if (ending === undefined || series.of !== undefined) continue
    const group = groupOf(series)
    const key = JSON.stringify(group)
    let row = rows.get(key)
    if (row === undefined) rows.set(key, (row = { ...group, ...noEndings() }))
    row[ending] += items
  }
  return [...rows.values()].filter(weightOf).sort((a, b) => weightOf(b) - weightOf(a))
}

function byReceiver({ changes }: Period): HeardTally[] {
  const rows = new Map<string, { -readonly [K in keyof HeardTally]: HeardTally[K] }>()
  const columns = {
    taken: 'in',
    accepted: 'accepted',
    answered_rejected: 'rejected',
    answered_refused: 'refused',
  } as const
  for (const [{ what, node, signal }, items] of changes) {
    const column = what in columns ? columns[what as keyof typeof columns] : undefined
    if (column === undefined || node === undefined || signal === undefined) continue
    const key = `${node.id} ${signal}`
    let row = rows.get(key)
    if (row === undefined) {
      row = { receiver: node.id, signal, in: 0, accepted: 0, rejected: 0, refused: 0 }
      rows.set(key, row)
    }
    row[column] += items
  }
  return [...rows.values()].sort((a, b) => b.rejected + b.refused - a.rejected - a.refused || b.in - a.in)
}

function turnedAway({ changes }: Period): LossesDocument['turned_away'] {
  return changes.flatMap(([{ what, node, reason }, requests]) =>
    what === 'turned_away' && requests > 0 ? [{ receiver: node?.id ?? 'other', reason, requests }] : [],
  )
}
