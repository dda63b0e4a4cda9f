/** Questions about what happened: `/v1/batches` and `/v1/components`. Only answers; nothing here changes anything. */
import type { Readable } from 'node:stream'
import { quoted, suggest } from '../config/nearest.ts'
import {
  type Happening,
  happenings,
  type Journal,
  type JournalEvent,
  type JournalQuery,
  type JournalRecord,
} from '../core/journal.ts'
import type { ConfiguredPipeline } from '../core/configured.ts'
import { allSignals } from '../proto/signals.ts'
import type { Stake } from './access.ts'
import { componentDocument, componentDocuments, type ComponentSources } from './component-pages.ts'
import { Query, QueryError, type RawQuery } from './query.ts'
import { time } from './status.ts'

/** What the answers come from. */
export interface ApiSources extends ComponentSources {
  readonly journal: Journal
  /** How the components are connected, as far as they are. */
  pipelines?(): readonly ConfiguredPipeline[]
}

/** An answer that is written while it is made. */
export interface Flow {
  readonly contentType: string
  readonly chunks: AsyncIterable<Buffer>
}

/** An answer that is written while something happens, and looks itself after readers that are slow. */
export interface LiveFlow {
  readonly contentType: string
  readonly stream: Readable
}

/** One page: a path, in which `*` stands for the rest, and what it answers. */
export interface Route {
  readonly path: string
  /** `rest` is what stood for `*`. @throws QueryError */
  answer(rest: string, query: RawQuery): object | Promise<object>
}

/** A page of which the answer may be long. */
export interface FlowRoute {
  readonly path: string
  /** What whoever asks has done then, as the events tell it; its path, if not said. */
  readonly deed?: string
  /** @throws QueryError, as long as nothing is written */
  flow(query: RawQuery): Flow | Promise<LiveFlow>
}

/** Something that can be done: POST with a JSON object. */
export interface ActionRoute {
  readonly path: string
  /** What whoever asks has done then, as the events tell it; its path, if not said; false: it tells of itself. */
  readonly deed?: string | false
  /** `by` is who asks: an address, or that it was a unix socket. @throws QueryError */
  act(body: Readonly<Record<string, unknown>>, by: string): object | Promise<object>
}

/** An answer with a status of its own. */
export interface Told {
  readonly code: number
  readonly body: object
}

/** Something that can be done with a text: POST with YAML, or nothing. */
export interface TextRoute {
  readonly path: string
  readonly stake: Stake
  /** @throws QueryError */
  take(text: string, query: RawQuery, by: string): Promise<Told>
}

/** Anything the admin server has at a path. */
export type AnyRoute = Route | FlowRoute | ActionRoute | TextRoute

/** The pages. */
export function apiRoutes(sources: ApiSources): readonly Route[] {
  return [
    { path: '/v1/batches', answer: (_, query) => listBatches(sources, query) },
    { path: '/v1/batches/*', answer: id => oneBatch(sources, id) },
    {
      path: '/v1/components',
      answer: (_, query) => {
        const kind = kindOf(new Query(query, ['kind']))
        const components = sources.components().filter(one => kind === undefined || one.kind === kind)
        return { components: componentDocuments({ ...sources, components: () => components }) }
      },
    },
    { path: '/v1/components/*', answer: (rest, query) => oneComponent(sources, rest, query) },
  ]
}

const kinds = ['receiver', 'processor', 'exporter', 'connector', 'extension'] as const
const kindOf = (query: Query) => query.word('kind', kinds, 'kind of component')

const filters = ['component', 'receiver', 'signal', 'reason', 'what', 'dropped', 'since', 'until', 'limit'] as const
const mostBatches = 1000

function listBatches({ journal, components }: ApiSources, raw: RawQuery): object {
  const query = new Query(raw, filters)
  const limit = query.count('limit', mostBatches, 100)
  const wanted: JournalQuery = {
    component: nameOf('component', query, journal, components()),
    receiver: nameOf(
      'receiver',
      query,
      journal,
      components().filter(({ kind }) => kind === 'receiver'),
    ),
    signal: query.word('signal', allSignals, 'signal'),
    reason: query.text('reason'),
    what: whatOf(query),
    since: query.time('since'),
    until: query.time('until'),
    limit: limit + 1,
  }
  const found = journal.find(wanted)
  return {
    batches: found.slice(0, limit).map(batchDocument),
    ...(found.length > limit ? { more: true } : {}),
    ...(found.length === 0 ? hintOf(wanted, journal) : {}),
  }
}

function whatOf(query: Query): Happening | undefined {
  const what = query.word('what', happenings, 'thing that can happen to a batch')
  if (!query.flag('dropped')) return what
  if (what === undefined || what === 'dropped') return 'dropped'
  throw new QueryError(400, '`dropped=true` is short for `what=dropped`; give one of them')
}

/** The id of a component that runs, or of one that the journal still knows. */
function nameOf(
  parameter: 'component' | 'receiver',
  query: Query,
  journal: Journal,
  running: readonly { readonly id: string }[],
): string | undefined {
  const id = query.text(parameter)
  const ids = [...new Set(running.map(one => one.id))]
  if (id === undefined || ids.includes(id) || journal.find({ [parameter]: id, limit: 1 }).length > 0) return id
  const hint = suggest(id, ids, ids.length === 0 ? undefined : `${parameter}: ${quoted(ids)}`)
  throw new QueryError(400, `there is no ${parameter} \`${id}\` here`, hint)
}

/** A reason may be one that nothing happened for yet, so it is no error; but it may be misspelt. */
function hintOf({ reason }: JournalQuery, journal: Journal): object {
  if (reason === undefined) return {}
  const events = journal.find({ limit: Infinity }).flatMap(record => record.events)
  const reasons = [...new Set(events.flatMap(event => event.reason ?? []))]
  if (reasons.includes(reason)) return {}
  const hint = suggest(reason, reasons, reasons.length === 0 ? undefined : `reasons so far: ${quoted(reasons)}`)
  return hint === undefined ? {} : { hint }
}

function oneBatch({ journal, pipelines }: ApiSources, id: string): object {
  if (!/^\d+$/.test(id)) throw new QueryError(400, `\`${id}\` is no id of a batch`, 'ids are numbers: /v1/batches/17')
  const record = journal.get(Number(id))
  if (record !== undefined) {
    const passed = passedBefore(record, pipelines?.() ?? [])
    return { ...batchDocument(record), ...(passed.length === 0 ? {} : { passed_before: passed }) }
  }
  const hint = 'the journal keeps the latest of each kind; /v1/batches lists what it has'
  throw new QueryError(404, `batch ${id} is not in the journal`, hint)
}

/** Processors that a batch passed before anything had to be noted of it, by pipeline: what they do to all of it is not told. */
export interface PassedBefore {
  readonly pipeline: string
  readonly processors: readonly string[]
}

function passedBefore(record: JournalRecord, pipelines: readonly ConfiguredPipeline[]): PassedBefore[] {
  const { receiver, signal, events } = record
  return pipelines.flatMap(({ id, signal: own, receivers, processors, exporters }) => {
    if (own !== signal) return []
    const noted = processors.findIndex(one =>
      events.some(({ pipeline, component }) => pipeline === id && component === one),
    )
    // Exporters are in no pipeline of their own: only where the batch began it is sure that it came through this one.
    const left = receivers.includes(receiver) && events.some(({ component }) => exporters.includes(component))
    const passed = noted >= 0 ? processors.slice(0, noted) : left ? processors : []
    return passed.length === 0 ? [] : [{ pipeline: id, processors: passed }]
  })
}

/** What was said of the newest request that something ended so of. */
export function detailOf(journal: Pick<Journal, 'find'>, what: 'lost' | 'rejected'): string | undefined {
  const [record] = journal.find({ what, limit: 1 })
  return record?.events.findLast(event => event.what === what)?.detail
}

/** One batch as `/v1/batches` tells it; what it passed before stands only where one batch is told. */
export type BatchDocument = ReturnType<typeof batchDocument> & { readonly passed_before?: readonly PassedBefore[] }
/** One thing that happened to it. */
export type EventDocument = ReturnType<typeof eventDocument>

/** It, of a record of the journal. */
export function batchDocument(record: JournalRecord) {
  const { id, at, receiver, transport, peer, signal, items, outcome, events, more } = record
  const { answeredAt, answeredBefore } = record
  return {
    id,
    at: time(at),
    receiver,
    transport,
    ...(peer === undefined ? {} : { peer }),
    signal,
    items,
    /** Null while the sender waits. */
    answer: outcome ?? null,
    ...(answeredAt === undefined ? {} : { answered_at: time(answeredAt) }),
    /** It was answered before anything was noted of it: no later than this. */
    ...(answeredBefore === undefined ? {} : { answered_before: time(answeredBefore) }),
    events: events.map(eventDocument),
    ...(more > 0 ? { more_events: more } : {}),
  }
}

function eventDocument({ at, kind, component, pipeline, what, items, ...rest }: JournalEvent) {
  const { reason, detail, took, sample } = rest
  return {
    at: time(at),
    kind,
    component,
    ...(pipeline === '' ? {} : { pipeline }),
    what,
    items,
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
    ...(took === undefined ? {} : { took_ms: Math.round(took * 100) / 100 }),
    ...(sample === undefined ? {} : { sample: sample.attributes }),
  }
}

const suffix = '/status'

/** The id may hold a slash, plain or encoded. */
function oneComponent(sources: ApiSources, rest: string, raw: RawQuery): object {
  const kind = kindOf(new Query(raw, ['kind']))
  if (!rest.endsWith(suffix)) {
    throw new QueryError(404, `there is no page /v1/components/${rest}`, `ask for /v1/components/${rest}${suffix}`)
  }
  const id = rest.slice(0, -suffix.length)
  const all = sources.components().filter(one => kind === undefined || one.kind === kind)
  const views = all.filter(one => one.id === id)
  const found = [...new Set(views.map(one => one.kind))]
  if (found.length === 1) return componentDocument(views, sources)
  if (found.length > 1) {
    throw new QueryError(400, `\`${id}\` is the id of several components`, `add one of ?kind=${found.join(', ?kind=')}`)
  }
  const ids = [...new Set(all.map(one => one.id))]
  throw new QueryError(
    404,
    `there is no ${kind ?? 'component'} \`${id}\` here`,
    suggest(id, ids, `ids: ${quoted(ids)}`),
  )
}
