/** `kymo batches`: what happened to requests, as the journal of a Kymo that runs has it. */
import { signals } from '../proto/signals.ts'
import type { BatchDocument, EventDocument } from '../service/api.ts'
import { exitCodes } from '../service/process.ts'
import { ask } from './admin-client.ts'
import { alignRight, clock, cut, printable, span, terminalWidth } from './format.ts'
import { orTell } from './or-tell.ts'
import { table } from './table.ts'

/** Which batches, and how to print them. The filters are those of `/v1/batches`. */
export interface BatchesOptions {
  readonly admin: string
  readonly component?: string | undefined
  readonly receiver?: string | undefined
  readonly signal?: string | undefined
  readonly reason?: string | undefined
  readonly what?: string | undefined
  readonly dropped?: boolean | undefined
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly limit?: string | undefined
  readonly json?: boolean | undefined
}

interface Listed {
  readonly batches: readonly BatchDocument[]
  readonly more?: boolean
  readonly hint?: string
}

/** Asks and prints one batch, or all that match; resolves to the exit code. */
export function batches(id: string | undefined, options: BatchesOptions): Promise<number> {
  return orTell(async () => {
    const answer = await ask(
      options.admin,
      id === undefined ? listPath(options) : `/v1/batches/${encodeURIComponent(id)}`,
    )
    // What our own admin server says; the client has checked that it is one.
    if (options.json === true) process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`)
    else if (id === undefined) process.stdout.write(listText(answer as Listed, options))
    else process.stdout.write(batchText(answer as BatchDocument))
    return exitCodes.clean
  })
}

const textFilters = ['component', 'receiver', 'signal', 'reason', 'what', 'since', 'until', 'limit'] as const

function listPath(options: BatchesOptions): string {
  const query = new URLSearchParams()
  for (const name of textFilters) {
    const value = options[name]
    if (value !== undefined) query.set(name, value)
  }
  if (options.dropped === true) query.set('dropped', 'true')
  return `/v1/batches?${query.toString()}`
}

/** All that match, newest first: what happened, and to what kind of data. */
export function listText({ batches: list, more, hint }: Listed, options: Partial<BatchesOptions>): string {
  if (list.length === 0) return `no batch in the journal matches${hint === undefined ? '' : `; ${hint}`}\n`
  const width = terminalWidth()
  const headings = ['ID', 'AT', 'RECEIVER', 'SIGNAL', 'ITEMS', 'ANSWER', 'WHAT HAPPENED']
  const told = list.map(batch => tellingEvents(batch, options))
  const rows = list.map((batch, i) => [
    String(batch.id),
    clock(batch.at),
    batch.receiver,
    batch.signal,
    String(batch.items),
    batch.answer ?? 'waiting',
    eventsText(told[i] ?? []),
  ])
  const aligned = alignRight(headings, rows, new Set([0, 4]))
  const [head, ...lines] = table(aligned.headings, aligned.rows).trimEnd().split('\n')
  const all = lines.flatMap((line, i) => {
    const detail = told[i]?.findLast(event => event.detail !== undefined)?.detail
    const sample = told[i]?.find(event => event.sample !== undefined)?.sample
    return [
      line,
      ...(detail === undefined ? [] : [cut(`    ${printable(detail)}`, 3 * width)]),
      ...(sample === undefined ? [] : [cut(`    ${sampleText(sample)}`, width)]),
    ]
  })
  const rest = more === true ? ['there are more; narrow it down, or raise --limit'] : []
  return `${[head, ...all, ...rest, '`kymo batches ID` tells all of one batch'].join('\n')}\n`
}

/** The events the list is asked for, or else those that are no everyday ones, or else the last. */
function tellingEvents({ events }: BatchDocument, options: Partial<BatchesOptions>): EventDocument[] {
  const what = options.dropped === true ? 'dropped' : options.what
  const { component, reason } = options
  const asked = (event: EventDocument) =>
    (what === undefined || event.what === what) &&
    (component === undefined || event.component === component) &&
    (reason === undefined || event.reason === reason)
  const everyday = new Set<string>(['received', 'passed', 'consumed', 'delivered'])
  const found = events.filter(asked)
  const odd = found.filter(event => !everyday.has(event.what))
  if (odd.length === 0) return found.slice(-1)
  // What became of it says more than what was tried before.
  const [tried, ends] = [odd.filter(isTry), odd.filter(event => !isTry(event))]
  return [...ends, ...tried, ...found.filter(event => event.what === 'delivered').slice(-1)]
}

const isTry = ({ what }: EventDocument): boolean => what === 'attempt_failed'

/** So many kinds of events stand in one line. */
const mostTold = 2

/** What happened, the most frequent kinds of events once each. */
function eventsText(events: readonly EventDocument[]): string {
  const texts = new Map<string, number>()
  for (const event of events) {
    const text = eventText(event)
    texts.set(text, (texts.get(text) ?? 0) + 1)
  }
  const all = [...texts].map(([text, times]) => (times === 1 ? text : `${text} (${times} times)`))
  const rest = all.length - mostTold
  return rest <= 0 ? all.join(', ') : `${all.slice(0, mostTold).join(', ')}, and ${rest} more`
}

function eventText({ what, items, component, reason }: EventDocument): string {
  return `${items} ${what.replaceAll('_', ' ')} by ${component}${reason === undefined ? '' : `: ${reason}`}`
}

const sampleText = (sample: Readonly<Record<string, string>>) =>
  Object.entries(sample)
    .map(([key, value]) => printable(`${key}=${value}`))
    .join('  ')

/** One batch, event by event. */
export function batchText(batch: BatchDocument): string {
  const { id, at, receiver, transport, peer, signal, items, events, more_events, passed_before = [] } = batch
  const from = peer === undefined ? '' : ` from ${peer}`
  const nouns: Readonly<Record<string, { noun: string }>> = signals
  const head = [
    `batch ${id}: ${items} ${nouns[signal]?.noun ?? 'items'}${from}, taken in by receiver ${receiver} over ${transport}`,
    `first noted ${clock(at)}; the sender ${heardText(batch)}`,
    ...passed_before.map(({ pipeline, processors }) => `passed before, in ${pipeline}: ${processors.join(', ')}`),
    '',
  ]
  const rows = events.map(event => [
    clock(event.at),
    `${event.kind} ${event.component}`,
    event.pipeline ?? '',
    event.what.replaceAll('_', ' '),
    String(event.items),
    [event.reason ?? '', event.took_ms === undefined ? '' : `after ${span(event.took_ms)}`].filter(Boolean).join(' '),
  ])
  const headings = ['AT', 'COMPONENT', 'PIPELINE', 'WHAT', 'ITEMS', 'REASON']
  const aligned = alignRight(headings, rows, new Set([4]))
  const [first, ...lines] = table(aligned.headings, aligned.rows).trimEnd().split('\n')
  const told = lines.flatMap((line, i) => {
    const event = events[i]
    return event === undefined ? [line] : [line, ...below(event)]
  })
  const rest = more_events === undefined ? [] : [`and ${more_events} more events, which were only counted`]
  return `${[...head, first, ...told, ...rest].join('\n')}\n`
}

/** What the sender heard, and when, as far as that is known. */
function heardText({ answer, answered_at: at, answered_before: before }: BatchDocument): string {
  if (answer === null) return 'waits for its answer'
  const when = at !== undefined ? ` at ${clock(at)}` : before !== undefined ? ` before ${clock(before)}` : ''
  return `was answered${when}: ${answer}`
}

/** What was said, and what the data was like. */
function below({ detail, sample = {} }: EventDocument): string[] {
  const entries = Object.entries(sample)
  const width = Math.max(0, ...entries.map(([key]) => key.length))
  return [
    ...(detail === undefined ? [] : [`    ${printable(detail)}`]),
    ...(entries.length === 0 ? [] : ['    resource of the first of them:']),
    ...entries.map(([key, value]) => `      ${printable(key).padEnd(width)}  ${printable(value)}`),
  ]
}
