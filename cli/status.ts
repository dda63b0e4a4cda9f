/** `kymo status`: how a Kymo that runs is, component by component. */
import type { ComponentDocument } from '../service/component-pages.ts'
import type { PipelineDocument } from '../service/pipeline-pages.ts'
import { exitCodes } from '../service/process.ts'
import type { Attention } from '../service/status.ts'
import { ask, AskError } from './admin-client.ts'
import { alignRight, count, cut, printable, since, span, terminalWidth } from './format.ts'
import type { Sorting } from './options.ts'
import { orTell } from './or-tell.ts'
import { type ShortageDocument, type TurnedAwayDocument, turnedAwayText } from './refusal-text.ts'
import { table } from './table.ts'
import { watching } from './watch.ts'

/** What to show, and how. */
export interface StatusOptions {
  readonly admin: string
  readonly sort?: Sorting | undefined
  readonly filter?: string | undefined
  readonly json?: boolean | undefined
  /** Seconds from one look to the next; true: two. */
  readonly watch?: string | true | undefined
  /** Only what the document looks like. */
  readonly schema?: boolean | undefined
}

type Part = ComponentDocument['parts'][number]

/** One line of the table. */
interface Line {
  readonly component: ComponentDocument
  /** Undefined for what no data goes through. */
  readonly part: Part | undefined
}

/** What is read of `/status`. */
interface ProcessDocument {
  readonly process: { readonly version: string; readonly phase: string; readonly pid: number; readonly started: string }
  readonly memory: {
    readonly rss_bytes: number
    readonly limit_bytes: number
    readonly pressed: boolean
    /** What components keep beside the data. */
    readonly kept?: readonly { readonly id: string; readonly bytes: number }[]
  }
  /** Not told by versions before this one. */
  readonly pipelines?: readonly PipelineDocument[]
  readonly books_faults: readonly string[]
  readonly needs_you: readonly Attention[]
  readonly lost_for_good: number
  readonly shortages: readonly ShortageDocument[]
  readonly doors: readonly {
    readonly receiver: string
    readonly transport: string
    readonly turned_away: readonly Omit<TurnedAwayDocument, 'receiver' | 'transport'>[]
  }[]
}

/** Asks and prints; resolves to the exit code. */
export async function status(options: StatusOptions): Promise<number> {
  const { watch } = options
  if (watch !== undefined) {
    const seconds = watch === true ? 2 : Number(watch)
    if (!(seconds >= 0.5 && seconds <= 3600)) {
      process.stderr.write('--watch takes seconds, from 0.5 to 3600\n')
      return exitCodes.failed
    }
    // One that is not there, or not any more, may come: that is what somebody watches for.
    await watching(seconds, () => page(options).catch(troubleText))
  }
  return orTell(async () => {
    process.stdout.write(await page(options))
    return exitCodes.clean
  })
}

async function page(options: StatusOptions): Promise<string> {
  const [whole, listed] = await Promise.all([ask(options.admin, '/status'), ask(options.admin, '/v1/components')])
  // Both are what our own admin server says; the client has checked that it is one.
  return statusText(whole as ProcessDocument, (listed as { components: ComponentDocument[] }).components, options)
}

/** @throws what is no trouble of asking */
function troubleText(error: unknown): string {
  if (!(error instanceof AskError)) throw error
  return `${error.message}\n`
}

/** The page, as a table or as JSON. */
export function statusText(
  whole: ProcessDocument,
  components: readonly ComponentDocument[],
  { sort, filter, json }: Omit<StatusOptions, 'admin'>,
): string {
  const lines = components
    .flatMap(component => linesOf(component))
    .filter(line => filter === undefined || wordsOf(line).includes(filter.toLowerCase()))
  if (sort === 'name') lines.sort((a, b) => wordsOf(a).localeCompare(wordsOf(b)))
  else if (sort !== undefined) lines.sort((a, b) => orders[sort](b) - orders[sort](a))
  if (json === true) {
    const shown = [...new Set(lines.map(line => line.component))]
    const { process, needs_you, lost_for_good, memory, shortages, doors, pipelines } = whole
    return `${JSON.stringify({ process, needs_you, lost_for_good, memory, shortages, doors, pipelines, components: shown }, null, 2)}\n`
  }
  const ends = recovered(lines.map(line => line.component))
  const counted = [...lossesOf(whole), ...dropsOf(components), ...doorsOf(whole)]
  const pipelines = pipelinesOf(whole.pipelines ?? [], filter)
  return [headOf(whole), ...needsOf(whole), ...counted, ...pipelines, tableOf(lines), ...ends].join('\n')
}

function linesOf(component: ComponentDocument): Line[] {
  const { parts } = component
  return parts.length === 0 ? [{ component, part: undefined }] : parts.map(part => ({ component, part }))
}

const placeOf = (part: Part | undefined) => (part === undefined ? '' : (part.pipeline ?? part.signal))
/** What needs another configuration is no outage: it has a word of its own. */
const stateOf = ({ component, part }: Line): string => {
  const { state, needs } = part ?? component
  return needs === undefined ? state : 'Denied'
}

function wordsOf(line: Line): string {
  const { component, part } = line
  return `${component.id} ${component.kind} ${placeOf(part)} ${stateOf(line)}`.toLowerCase()
}

const total = (by: Readonly<Record<string, number>>) => Object.values(by).reduce((sum, n) => sum + n, 0)

/** Whose senders were asked to come again, so that nothing is gone. */
const refusedOf = ({ returned, refused }: Part): number => total(returned) + total(refused)
/** Which will never be taken; dead letters are kept. */
const rejectedOf = ({ rejected, dead_lettered }: Part): number => total(rejected) + total(dead_lettered)

/** What is gone for good stands above what is not, whatever there is of it. */
function failedOf(part: Part | undefined): number {
  if (part === undefined) return 0
  const gone = rejectedOf(part) + total(part.lost)
  return (gone > 0 ? 1e12 : 0) + gone + refusedOf(part)
}

const queueOf = ({ part }: Line) => (part?.queue?.capacity ? part.queue.size / part.queue.capacity : 0)
const ageOf = ({ part }: Line) => part?.queue?.oldest_seconds ?? -1
const rateOf = ({ part }: Line) => part?.items_per_second.in.last_1m ?? -1
const troubled = (state: string) => (state === 'OK' || state === 'None' || state === 'Starting' ? 0 : 1)

const orders: Record<Exclude<Sorting, 'name'>, (line: Line) => number> = {
  rate: rateOf,
  queue: queueOf,
  age: ageOf,
  // What is not well comes before what only was not.
  errors: line => troubled(stateOf(line)) * 1e15 + failedOf(line.part) + (line.part?.failed_attempts ?? 0),
}

/** Bytes from which on what a component keeps is told. */
const worthTelling = 16 * 2 ** 20

function headOf({ process: { version, phase, pid, started }, memory, books_faults }: ProcessDocument): string {
  const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`
  const pressed = memory.pressed ? ', nothing new is taken' : ''
  const books = books_faults.length === 0 ? 'books balance' : `books do not balance: ${books_faults.join('; ')}`
  const [most] = (memory.kept ?? []).filter(({ bytes }) => bytes >= worthTelling).toSorted((a, b) => b.bytes - a.bytes)
  const kept = most === undefined ? '' : ` (${mebibytes(most.bytes)} kept by ${most.id})`
  const used = `${mebibytes(memory.rss_bytes)} of ${mebibytes(memory.limit_bytes)}${kept}${pressed}`
  const how = phase === 'running' ? `running for ${since(started)}` : `${phase}, started ${since(started)} ago`
  return `kymo ${version}, ${how}, pid ${pid}, ${used}, ${books}\n`
}

/** What needs somebody, each with the command that goes on from there. */
function needsOf({ needs_you: needs, process: { phase } }: ProcessDocument): string[] {
  if (needs.length === 0) return phase === 'running' ? ['All is well.\n'] : []
  const lines = needs.flatMap(({ what, since: from = null, command }) => {
    const when = from === null ? '' : ` (since ${since(from)})`
    return [`  ! ${cut(printable(what), 3 * terminalWidth())}${when}`, `      ${printable(command)}`]
  })
  return [`What needs you:\n${lines.join('\n')}\n`]
}

/** Whoever reads of trouble asks next what it has cost; what was lost stands among what needs somebody. */
const lossesOf = ({ needs_you: needs, lost_for_good: lost }: ProcessDocument): string[] =>
  needs.length > 0 && lost === 0 ? ['Nothing was lost since the start.\n'] : []

/** What rules of the configuration left out: no trouble, unless it is more than was meant. */
function dropsOf(components: readonly ComponentDocument[]): string[] {
  const items = components.flatMap(({ parts }) => parts).reduce((sum, { dropped }) => sum + total(dropped), 0)
  if (items === 0) return []
  return [`Dropped by rules since the start: ${count(items)} items; see \`kymo losses --since 24h --by namespace\`\n`]
}

/** What happens at the doors of receivers, where anything was turned away. */
function doorsOf({ doors }: ProcessDocument): string[] {
  const all = doors.flatMap(({ receiver, transport, turned_away }) =>
    turned_away.map(one => ({ ...one, receiver, transport })),
  )
  if (all.length === 0) return []
  return [`Turned away since the start: ${turnedAwayText(all)}; see \`kymo senders --refused\`\n`]
}

/** A line for each pipeline, with the way through it. */
function pipelinesOf(all: readonly PipelineDocument[], filter: string | undefined): string[] {
  const rows = all.map(({ id, state, receivers, processors, exporters, dropped, held, items_per_second: pace }) => {
    const way = [receivers, processors, exporters].filter(ids => ids.length > 0).map(ids => ids.join(', '))
    return [id, state, count(pace.in), count(pace.out), count(dropped), count(held), way.join(' -> ')].map(printable)
  })
  const shown = rows.filter(row => filter === undefined || row.join(' ').toLowerCase().includes(filter.toLowerCase()))
  if (shown.length === 0) return []
  const { headings, rows: aligned } = alignRight(
    ['PIPELINE', 'STATE', 'IN/S', 'PASSED/S', 'DROPPED', 'HELD', 'WAY'],
    shown,
    new Set([2, 3, 4, 5]),
  )
  return [table(headings, aligned)]
}

/** Ways to end without being delivered; those that nothing ended in take no room. */
const endings: readonly (readonly [heading: string, itemsOf: (part: Part) => number])[] = [
  ['DROPPED', part => total(part.dropped)],
  ['REFUSED', refusedOf],
  ['REJECTED', rejectedOf],
  ['LOST', part => total(part.lost)],
]

function tableOf(lines: readonly Line[]): string {
  const shown = endings.filter(
    ([heading, itemsOf]) => heading === 'DROPPED' || lines.some(({ part }) => part !== undefined && itemsOf(part) > 0),
  )
  const counted = shown.map(([heading]) => heading)
  const headings = ['COMPONENT', 'KIND', 'OF', 'STATE', 'IN/S', 'OUT/S', ...counted, 'QUEUE', 'OLDEST', 'P99']
  const numbers = new Set(headings.map((_, i) => i).filter(i => i >= 4))
  const rows = lines.map(line => rowOf(line, part => shown.map(([, itemsOf]) => count(itemsOf(part)))))
  const aligned = alignRight(
    headings,
    rows.map(row => headings.map((_, i) => row[i] ?? '')),
    numbers,
  )
  return table(aligned.headings, aligned.rows)
}

function rowOf(line: Line, endingsOf: (part: Part) => readonly string[]): string[] {
  const { component, part } = line
  const state = `${stateOf(line)} ${since((part ?? component).since)}`
  const names = [component.id, component.kind, placeOf(part), state]
  if (part === undefined) return names
  const { items_per_second: pace, queue, export_ms } = part
  const isExporter = component.kind === 'exporter'
  const oldest = queue?.oldest_seconds ?? undefined
  const p99 = export_ms?.p99 ?? undefined
  return [
    ...names,
    count(pace.in.last_1m),
    count((isExporter ? pace.delivered : pace.out).last_1m),
    ...endingsOf(part),
    queue === undefined || queue.capacity === 0 ? '' : `${Math.round((100 * queue.size) / queue.capacity)}%`,
    oldest === undefined ? '' : span(oldest * 1000),
    p99 === undefined ? '' : span(p99),
  ]
}

/** How long an error is worth telling after all is well again, in milliseconds. */
const recent = 600_000

/** What was in trouble a while ago; what is stands at the top. */
function recovered(components: readonly ComponentDocument[]): string[] {
  return [...new Set(components)].flatMap(({ kind, id, state, last_error, last_error_at = null }) => {
    if (last_error === undefined || last_error_at === null || troubled(state) > 0) return []
    if (Date.now() - Date.parse(last_error_at) > recent) return []
    const text = `${kind} ${id} is well again; ${since(last_error_at)} ago: ${printable(last_error)}`
    return [cut(text, 4 * terminalWidth()), '']
  })
}
