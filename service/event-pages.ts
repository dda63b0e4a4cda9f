/** `/v1/events`: what happened to the process, on one time axis. */
import { type Chronicle, mostOccurrences, type Occurrence, occurrenceKinds } from '../core/chronicle.ts'
import type { Route } from './api.ts'
import { Query, type RawQuery } from './query.ts'
import { time } from './status.ts'

/** The page. */
export function eventRoutes(chronicle: Chronicle): readonly Route[] {
  return [{ path: '/v1/events', answer: (_, query) => listEvents(chronicle, query) }]
}

/** What happened, as `/v1/events` tells it. */
export type EventsDocument = ReturnType<typeof listEvents>
/** One thing of that. */
export type OccurrenceDocument = ReturnType<typeof occurrenceDocument>

function listEvents(chronicle: Chronicle, raw: RawQuery) {
  const query = new Query(raw, ['since', 'component', 'kind', 'after', 'limit'])
  const limit = query.count('limit', mostOccurrences, 100)
  const found = chronicle.find({
    since: query.time('since'),
    component: query.text('component'),
    kind: query.word('kind', occurrenceKinds, 'kind of event'),
    after: query.count('after', Number.MAX_SAFE_INTEGER, 0),
    limit: limit + 1,
  })
  return {
    /** The newest last. */
    events: found.slice(-limit).map(occurrenceDocument),
    ...(found.length > limit ? { more: true } : {}),
    /** What to ask for as `after` to hear only of what comes from here on. */
    newest: chronicle.newest,
  }
}

function occurrenceDocument({ id, kind, component, text, detail, fields, first, last, times }: Occurrence) {
  return {
    id,
    time: time(last),
    kind,
    component: component ?? null,
    text,
    ...(detail === undefined ? {} : { detail }),
    ...(fields === undefined ? {} : { fields }),
    ...(times === 1 ? {} : { times, first: time(first) }),
  }
}
