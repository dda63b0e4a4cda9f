/** Whose items ended, by a resource attribute: from counts where a rule decided by it, else from the journal as far as that goes. */
import type { Happening, Journal, JournalEvent, JournalRecord } from '../core/journal.ts'
import { noAttribute, notShown } from '../proto/sample.ts'
import { type LossKind, type LossTally, endings, noEndings, type Period, weightOf } from './ledger.ts'

/** What stands for values that nobody knows: of what only counts are kept. */
export const notTold = '(not told)'

/** Rows that together are all that ended, and of how many the value is known. */
export interface Attributed {
  readonly rows: readonly (Readonly<LossTally> & { readonly value: string })[]
  readonly known: { readonly items: number; readonly of: number }
}

/** Attributes that a resource has at most so that it is known what it does not have. */
const wholeSample = 12

/** What ended in `range`, by the values of `key`. */
export function attributed(key: string, range: Period, journal: Journal): Attributed {
  const all = noEndings()
  const told = noEndings()
  const rows = new Map<string, LossTally>()
  const tell = (ending: LossKind, value: string, items: number): void => {
    // The journal may say of one event more than there was: what several requests had in it at most.
    const real = Math.min(items, all[ending] - told[ending])
    if (real <= 0) return
    told[ending] += real
    let row = rows.get(value)
    if (row === undefined) rows.set(value, (row = noEndings()))
    row[ending] += real
  }
  for (const [{ what, of }, items] of range.changes) {
    const ending = endings.find(one => one === what)
    if (ending !== undefined && of === undefined) all[ending] += items
  }
  // Where values are counted they are counted exactly, and the journal would count them again.
  const counted = new Set<string>()
  for (const [{ what, node, reason, of }, items] of range.changes) {
    const ending = endings.find(one => one === what)
    if (ending === undefined || of?.key !== key) continue
    counted.add(`${node?.id} ${node?.pipeline} ${ending} ${reason}`)
    tell(ending, of.value, items)
  }
  for (const [ending, event] of eventsOf(journal.find({ limit: Infinity }), range)) {
    const { component, pipeline, reason = '' } = event
    if (counted.has(`${component} ${pipeline} ${ending} ${reason}`)) continue
    for (const [value, items] of valuesOf(event, key)) tell(ending, value, items)
  }
  const sum = (counts: LossTally): number => endings.reduce((total, one) => total + counts[one], 0)
  const known = { items: sum(told), of: sum(all) }
  const sorted = [...rows].map(([value, counts]) => ({ value, ...counts })).sort((a, b) => weightOf(b) - weightOf(a))
  if (known.items === known.of) return { rows: sorted, known }
  const left = Object.fromEntries(endings.map(one => [one, all[one] - told[one]])) as LossTally
  return { rows: [...sorted, { value: notTold, ...left }], known }
}

const endingOf: Readonly<Partial<Record<Happening, LossKind>>> = {
  dropped: 'dropped',
  rejected: 'rejected',
  dead_lettered: 'dead_lettered',
  lost: 'lost',
  returned: 'refused',
  refused: 'refused',
}

/** Events of the range by which items ended: it goes up to now, whatever the machine's clock did meanwhile. */
function* eventsOf(records: readonly JournalRecord[], { from, isWhole }: Period): Generator<[LossKind, JournalEvent]> {
  for (const { events } of records) {
    for (const event of events) {
      const ending = endingOf[event.what]
      if (ending !== undefined && (isWhole || event.at >= from)) yield [ending, event]
    }
  }
}

/** Items of an event by value of an attribute, as far as that is known. */
function valuesOf({ items, sample }: JournalEvent, key: string): readonly (readonly [value: string, items: number])[] {
  if (sample === undefined || sample.items === 0) return []
  const { attributes, values, first, items: all } = sample
  const counts = Object.entries(ownOf(values, key) ?? {})
  // Of a part of a request it is known only where all of it is of one value.
  if (counts.length > 0) {
    if (items === all) return counts
    return counts.length === 1 && counts[0]?.[1] === all ? [[counts[0][0], items]] : []
  }
  const value = ownOf(attributes, key) ?? (Object.keys(attributes).length < wholeSample ? noAttribute : undefined)
  if (value === undefined || value === notShown) return []
  if (items === all) return [[value, first]]
  return first === all ? [[value, items]] : []
}

/** Keys are whatever somebody asks by. */
const ownOf = <T>(table: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined
