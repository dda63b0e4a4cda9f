/** `kymo losses`: what came in over a range of time and what became of it, as the books of a Kymo that runs have it. */
import type { LossesDocument, LossRow, HeardTally, SignalLosses } from '../service/losses.ts'
import { exitCodes } from '../service/process.ts'
import { ask } from './admin-client.ts'
import { alignRight, clock, since as ago } from './format.ts'
import { orTell } from './or-tell.ts'
import { table } from './table.ts'

/** Which range, and how to print it. */
export interface LossesOptions {
  readonly admin: string
  readonly since: string
  readonly by?: string | undefined
  readonly json?: boolean | undefined
}

/** Asks and prints; resolves to the exit code. */
export function losses({ admin, since, by, json }: LossesOptions): Promise<number> {
  return orTell(async () => {
    const query = new URLSearchParams({ since, ...(by === undefined ? {} : { by }) })
    // What our own admin server says; the client has checked that it is one.
    const answer = (await ask(admin, `/v1/losses?${query.toString()}`)) as LossesDocument
    process.stdout.write(json === true ? `${JSON.stringify(answer, null, 2)}\n` : lossesText(answer, since))
    return isClean(answer) ? exitCodes.clean : exitCodes.lost
  })
}

const isClean = ({ lost_for_good, signals, books_faults }: LossesDocument): boolean =>
  lost_for_good === 0 && books_faults.length === 0 && signals.every(({ unaccounted }) => unaccounted === 0)

/** The page: what it comes to, an equation for each signal, and a table. `asked` is the range in the words of whoever asked. */
export function lossesText(document: LossesDocument, asked: string): string {
  const { signals, books_faults, turned_away, rows, more, known, hint } = document
  const range = rangeOf(document, asked)
  const lines = [...verdict(document, range, asked), '']
  if (signals.length === 0) lines.push(`Nothing came in ${range}.`)
  else lines.push(...equations(signals))
  if (books_faults.length > 0)
    lines.push('', 'The books do not balance, which is a fault of Kymo; please report it with the log:')
  lines.push(...books_faults.map(fault => `  ${fault}`))
  if (rows.length > 0) lines.push('', tableOf(document).trimEnd())
  if (more !== undefined) lines.push(`and ${more} more; --json has no more of them either: narrow the range`)
  if (known !== undefined && known.items < known.of)
    lines.push(`Whose it was is known of ${known.items} of ${known.of} items; of the rest only counts are kept.`)
  if (hint !== undefined) lines.push(hint)
  if (turned_away.length > 0) {
    const told = turned_away.map(({ receiver, reason, requests }) => `${requests} ${reason} at ${receiver}`)
    lines.push('', `Requests turned away at the door: ${told.join(', ')}`, '  kymo senders --refused')
  }
  return `${lines.join('\n')}\n`
}

/** In words, so that it can stand behind what happened. */
function rangeOf({ from, since_start }: LossesDocument, asked: string): string {
  if (since_start) return `since the process started ${ago(from)} ago`
  return /^-?[\d.]+[a-zµ]/.test(asked) ? `in the last ${asked.replace('-', '')}` : `since ${clock(from)}`
}

function verdict({ lost_for_good, signals }: LossesDocument, range: string, asked: string): string[] {
  const sum = (what: Term): number => signals.reduce((all, one) => all + one[what], 0)
  const [lost, rejected, dead] = [sum('lost'), sum('rejected'), sum('dead_lettered')]
  const told = [
    ...(lost > 0 ? [`${items(lost)} lost ${range}`, `  kymo batches --what lost --since ${asked}`] : []),
    ...(rejected > 0
      ? [`${items(rejected)} rejected for good ${range}`, `  kymo batches --what rejected --since ${asked}`]
      : []),
    ...(dead > 0
      ? [`${items(dead)} put aside as dead letters ${range}: not lost`, '  kymo queue ls --dead-letters']
      : []),
  ]
  const [dropped, refused] = [sum('dropped'), sum('refused')]
  const rest = [
    ...(dropped > 0 ? [`${items(dropped)} dropped by rules: kymo batches --dropped --since ${asked}`] : []),
    ...(refused > 0 ? [`${items(refused)} refused: their senders were asked to come again`] : []),
  ]
  return [...(lost_for_good === 0 ? [`nothing was lost ${range}`] : []), ...told, ...rest]
}

const items = (n: number): string => (n === 1 ? '1 item was' : `${n} items were`)

type Term = Exclude<keyof SignalLosses, 'signal' | 'unaccounted'>
type Terms = readonly (readonly [term: Term, name: string, always: boolean])[]

const came: Terms = [
  ['in', 'in', true],
  ['waited', 'waited before', false],
  ['recovered', 'found on disk', false],
  ['copied', 'copies for other destinations', false],
  ['made', 'made of other data', false],
]
const went: Terms = [
  ['delivered', 'delivered', true],
  ['dropped', 'dropped', true],
  ['rejected', 'rejected', true],
  ['dead_lettered', 'dead-lettered', true],
  ['lost', 'lost', true],
  ['refused', 'refused', false],
  ['made_into_other', 'made into other data', false],
  ['left', 'left on disk', false],
  ['waiting', 'waiting', true],
]

/** A line for each signal, with all that is counted in it. */
function equations(signals: readonly SignalLosses[]): string[] {
  const width = Math.max(...signals.map(({ signal }) => signal.length))
  return signals.map(one => {
    const side = (terms: Terms): string =>
      terms
        .filter(([term, , always]) => always || one[term] !== 0)
        .map(([term, name]) => `${one[term]} ${name}`)
        .join(' + ')
    const { signal, unaccounted } = one
    const [sign, fault] =
      unaccounted === 0 ? ['=', ''] : ['≠', `; does not balance: ${unaccounted} unaccounted for, a fault of Kymo`]
    return `${signal.padEnd(width)}  ${side(came)} ${sign} ${side(went)}${fault}`
  })
}

const endings = ['dropped', 'rejected', 'dead_lettered', 'lost', 'refused'] as const
const endingHeads = ['DROPPED', 'REJECTED', 'DEAD', 'LOST', 'REFUSED']

/** Names of a row, by what the table is asked for; an attribute otherwise. */
const names: ReadonlyMap<string, readonly (keyof LossRow)[]> = new Map([
  ['component,reason', ['component', 'kind', 'of', 'reason']],
  ['component', ['component', 'kind', 'of']],
  ['reason', ['reason']],
  ['signal', ['signal']],
])

function tableOf({ by, rows }: LossesDocument): string {
  if (by === 'receiver') {
    const heads = ['RECEIVER', 'SIGNAL', 'IN', 'ACCEPTED', 'REJECTED', 'REFUSED']
    const cells = rows
      .filter(isReceiver)
      .map(row => [row.receiver, row.signal, ...[row.in, row.accepted, row.rejected, row.refused].map(String)])
    return aligned(heads, cells, 2)
  }
  const named = names.get(by)
  const columns = named ?? (['value'] as const)
  const heads = named?.map(name => name.toUpperCase()) ?? [by.toUpperCase()]
  const cells = rows.flatMap(row =>
    isReceiver(row)
      ? []
      : [[...columns.map(name => String(row[name] ?? '')), ...endings.map(name => String(row[name]))]],
  )
  return aligned([...heads, ...endingHeads], cells, columns.length)
}

const isReceiver = (row: LossRow | HeardTally): row is HeardTally => 'receiver' in row

/** A table whose columns from the one at `first` on are numbers. */
function aligned(heads: readonly string[], cells: readonly (readonly string[])[], first: number): string {
  const numbers = new Set(heads.map((_, i) => i).filter(i => i >= first))
  const { headings, rows } = alignRight(heads, cells, numbers)
  return table(headings, rows)
}
