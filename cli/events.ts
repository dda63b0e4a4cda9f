/** `kymo events`: what happened to a Kymo that runs, on one time axis. */
import type { EventsDocument, OccurrenceDocument } from '../service/event-pages.ts'
import { following } from './follow.ts'
import { clock, printable } from './format.ts'

/** Which events, and how to print them. The filters are those of `/v1/events`. */
export interface EventsOptions {
  readonly admin: string
  readonly since?: string | undefined
  readonly component?: string | undefined
  readonly kind?: string | undefined
  readonly limit?: string | undefined
  readonly follow?: boolean | undefined
  readonly json?: boolean | undefined
}

/** Asks and prints; resolves to the exit code. */
export function events(options: EventsOptions): Promise<number> {
  const query = new URLSearchParams()
  for (const name of ['since', 'component', 'kind', 'limit'] as const) {
    const value = options[name]
    if (value !== undefined) query.set(name, value)
  }
  const { admin, follow = false, json = false } = options
  return following<EventsDocument>({
    admin,
    path: '/v1/events',
    query,
    follow,
    write(answer, isFirst) {
      process.stdout.write(json ? jsonOf(answer, follow) : eventsText(answer, isFirst))
    },
  })
}

/** Whole where it ends, and one event a line where it goes on. */
const jsonOf = (answer: EventsDocument, follow: boolean): string =>
  follow ? answer.events.map(one => `${JSON.stringify(one)}\n`).join('') : `${JSON.stringify(answer, null, 2)}\n`

/** The events, the newest last. */
export function eventsText({ events: all, more }: Omit<EventsDocument, 'newest'>, isFirst: boolean): string {
  if (all.length === 0) return isFirst ? 'no event matches\n' : ''
  const earlier = more === true && isFirst ? ['... and earlier ones; narrow it down, or raise --limit'] : []
  return `${[...earlier, ...all.flatMap(linesOf)].join('\n')}\n`
}

/** Widest kind. */
const kindWidth = 9

function linesOf({ time, kind, component, text: told, detail, fields, times, first }: OccurrenceDocument): string[] {
  // State changes name their component themselves.
  const whose = component === null || told.includes(component) ? '' : `${component}: `
  const again = times === undefined ? '' : ` (repeated ${times} times since ${clock(first ?? null)})`
  const who = whoOf(fields)
  const line = `${clock(time)}  ${kind.padEnd(kindWidth)}  ${printable(`${whose}${told}${who}`)}${again}`
  const below = [...(detail === undefined || detail === '' ? [] : [detail]), ...wordsOf(kind, fields)]
  return [line, ...below.map(one => `    ${printable(one)}`)]
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** Who did it, or what made it happen. */
function whoOf({ by, trigger }: NonNullable<OccurrenceDocument['fields']> = {}): string {
  if (typeof by === 'string') return `; by ${by}`
  if (trigger === 'files') return '; because a file changed'
  return typeof trigger === 'string' && trigger !== 'request' ? `; by ${trigger}` : ''
}

/** What an action was done with, and how much came of a refusal; the rest is for machines. */
function wordsOf(kind: OccurrenceDocument['kind'], fields: OccurrenceDocument['fields'] = {}): string[] {
  if (kind !== 'action' && kind !== 'log' && kind !== 'refusal') return []
  const words = Object.entries(fields).flatMap(([name, value]) =>
    name === 'by' || value === null || typeof value === 'object' ? [] : [`${name}=${text(value)}`],
  )
  return words.length === 0 ? [] : [words.join(' ')]
}
