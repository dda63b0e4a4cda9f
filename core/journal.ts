/**
 * What happened to batches: every one that lost or failed anything, and samples of those that rules dropped something of, and
 * of the healthy ones. Keeps ids, counts, reasons and a few resource attributes, never bytes of the data. Bounded in number and in bytes: each component and
 * reason has a ring of its own, so that what is frequent does not push out what is rare.
 */
import { endless, type Room, textCost } from '../proto/room.ts'
import { type Sample, sampleCost, sampleGroups } from '../proto/sample.ts'
import type { Signal } from '../proto/signals.ts'
import type { Batch } from './batch.ts'
import type { NodeName } from './books.ts'
import type { Context } from './context.ts'
import type { Outcome } from './delivery.ts'

/** What can happen to a batch, or to a part of it. */
export const happenings = [
  'received',
  'passed',
  'consumed',
  'dropped',
  'refused',
  'returned',
  'attempt_failed',
  'delivered',
  'rejected',
  'dead_lettered',
  'lost',
] as const

/** One of them. */
export type Happening = (typeof happenings)[number]

/** One thing that happened, at one component. */
export interface JournalEvent {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly kind: NodeName['kind']
  readonly component: string
  readonly pipeline: string
  readonly what: Happening
  /** Items of the request that it happened to. */
  readonly items: number
  readonly reason: string | undefined
  /** What a destination or a step said. */
  readonly detail: string | undefined
  /** Milliseconds that it took, where that is known: attempts to send. */
  readonly took: number | undefined
  /** What the resources concerned are like. */
  readonly sample: Sample | undefined
}

/** What is known of one request. */
export interface JournalRecord {
  readonly id: number
  /** When it was noted first, in milliseconds since the epoch: at once for sampled ones, else when something happened. */
  readonly at: number
  readonly receiver: string
  readonly transport: string
  readonly peer: string | undefined
  readonly signal: Signal
  /** Items of the whole request. */
  readonly items: number
  readonly events: JournalEvent[]
  /** Events beyond the limit, which are only counted. */
  more: number
  /** What the sender was answered, once it was. */
  outcome: Outcome['kind'] | undefined
  /** When it was, in milliseconds since the epoch. */
  answeredAt: number | undefined
  /** It was before the record was begun, so that only this is known: not later than then. */
  answeredBefore: number | undefined
  /** Where spans of it are made, if it is traced. */
  trace: Trace | undefined
  /** Bytes it takes, and the rings it stands in: while that is any they are charged. */
  bytes: number
  rings: number
}

/** What more is known of something that happened to a batch. */
interface Noted {
  /** Milliseconds that it took. */
  readonly took?: number
  /** Items of the batch that it happened to, at most, where nobody says whose they are. */
  readonly most?: number
  /** The resource attribute that decided it, if one did. */
  readonly by?: string | undefined
}

/** Hears what happens to one request, to make spans of it. */
export interface Trace {
  happened(record: JournalRecord, event: JournalEvent): void
  ended(record: JournalRecord, outcome: Outcome): void
}

/** Chooses the requests that spans are made of. */
export interface Tracer {
  /** Called for every request; undefined: not this one. */
  sample(name: NodeName, batch: Batch): Trace | undefined
}

/** Context of data that Kymo tells about itself: never sampled, so that telling causes no more to tell. */
export const ownTransport = 'internal'

/** What `Journal.find` looks for; what is absent matches everything. */
export interface JournalQuery {
  readonly component?: string | undefined
  readonly receiver?: string | undefined
  readonly signal?: string | undefined
  readonly what?: Happening | undefined
  readonly reason?: string | undefined
  /** Milliseconds since the epoch. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly limit?: number | undefined
}

/** Records one ring holds, and events one record does. */
const ringSize = 256
const eventLimit = 32
/** Bytes that all records may take, and those of a record and an event besides their texts. */
const mostBytes = 16 << 20
const recordCost = 400
const eventCost = 250
/** What others say is kept up to this length. */
const longestText = 256
/** Samples of attributes taken per component, reason and second; and of what a rule drops, records that are begun. */
const samplesPerSecond = 20
/** One healthy request in this many is recorded, besides the first of each second. */
const healthyEvery = 1024

interface Ring {
  readonly what: Happening
  readonly reason: string | undefined
  /** The oldest first. */
  readonly records: JournalRecord[]
  second: number
  samples: number
}

/** The journal of one process. */
export class Journal {
  /** Makes spans, while somebody wants them. */
  tracer: Tracer | undefined
  /** Says whether values of the data at a node may be shown; else samples have keys alone. */
  shows: (name: NodeName) => boolean = () => true
  /** Records that were begun. */
  begun = 0
  /** Requests that a rule dropped something of, and which are not written about because many others are. */
  unwritten = 0
  readonly #room: Room
  #bytes = 0
  readonly #rings = new Map<string, Ring>()
  /** The same by who noted last: a key for each request would cost more than to find it here. */
  readonly #known = new WeakMap<NodeName, Ring[]>()
  #lastId = 0
  #sinceHealthy = 0
  #healthySecond = 0

  /** `room`: where memory for records is taken. */
  constructor(room: Room = endless) {
    this.#room = room
  }

  /** A request came in: some are recorded from the beginning, and all that somebody follows. */
  received(name: NodeName, batch: Batch): void {
    const { context, shares } = batch
    if (context.transport === ownTransport) return
    const trace = this.tracer?.sample(name, batch)
    if (context.isFollowed === true || this.#healthy()) this.note(name, 'received', batch, undefined, undefined)
    if (trace === undefined) return
    for (const { delivery, origin } of shares) {
      ;(delivery.record ??= this.#open(batch.signal, origin, delivery.items)).trace = trace
    }
  }

  #healthy(): boolean {
    if (++this.#sinceHealthy < healthyEvery) {
      // The clock is read for one request in sixteen.
      if ((this.#sinceHealthy & 15) !== 1) return false
      const second = Math.floor(Date.now() / 1000)
      if (second === this.#healthySecond) return false
      this.#healthySecond = second
    }
    this.#sinceHealthy = 0
    return true
  }

  /** Something went well: kept only for requests that are recorded already. */
  follow(
    name: NodeName,
    what: 'passed' | 'consumed' | 'delivered',
    batch: Batch,
    { took, most = Infinity }: Noted = {},
  ): void {
    for (const {
      delivery: { record },
      items,
    } of batch.shares) {
      if (record !== undefined) this.#add(record, name, { what, items: Math.min(items, most), took })
    }
  }

  /**
   * Something happened that has to be found again: recorded for every request concerned. What a rule drops may be something of
   * every request, and is no surprise: of that, a few a second are.
   */
  note(
    name: NodeName,
    what: Happening,
    batch: Batch,
    reason: string | undefined,
    detail: string | undefined,
    { took, most = Infinity, by }: Noted = {},
  ): void {
    const ring = this.#ring(name, what, reason)
    const isFrequent = this.#isFrequent(ring)
    if (isFrequent && what === 'dropped' && batch.shares.every(one => one.delivery.record === undefined)) {
      this.unwritten += batch.shares.length
      return
    }
    detail = cut(detail)
    const [first] = batch.shares
    // Of a part of several requests nobody knows whose it is.
    const isWhole = batch.shares.length === 1 || most >= batch.items
    let at = 0
    for (const share of batch.shares) {
      const { delivery, items, groups, origin, answered } = share
      const isSampled = groups > 0 && !(share === first ? isFrequent : this.#isFrequent(ring))
      const mine = isSampled ? batch.groups.slice(at, at + groups) : []
      at += groups
      const sample = sampleGroups(mine, { by, isWhole, isShown: isSampled && this.shows(name) })
      const known = delivery.record
      const record = known ?? (delivery.record = this.#open(batch.signal, origin, delivery.items))
      // Whoever was answered before there was a record heard success, and who gave up before heard nothing good.
      if (record.outcome === undefined && (answered || delivery.withdrawn)) {
        record.outcome = answered ? 'success' : 'refused'
        record.answeredBefore = Date.now()
      }
      const kept = this.#add(record, name, { what, items: Math.min(items, most), reason, detail, took, sample })
      // Retries of one request are one record in the ring.
      if (kept && !record.events.slice(0, -1).some(event => same(event, name, what, reason))) this.#put(ring, record)
    }
  }

  /** Something of a request was passed over; whatever else came of it is told apart. */
  remark(name: NodeName, signal: Signal, context: Context, reason: string, detail: string): void {
    if (context.transport === ownTransport) return
    const record = this.#open(signal, context, 0)
    record.outcome = 'success'
    this.#add(record, name, { what: 'received', items: 0, reason, detail: cut(detail) })
    this.#put(this.#ring(name, 'received', reason), record)
  }

  /** The record with this id, if it is still kept. */
  get(id: number): JournalRecord | undefined {
    for (const { records } of this.#rings.values()) for (const record of records) if (record.id === id) return record
    return undefined
  }

  /** Records that match, newest first. */
  find(query: JournalQuery): JournalRecord[] {
    const found = new Set<JournalRecord>()
    for (const { records } of this.#rings.values()) {
      for (const record of records) if (matches(record, query)) found.add(record)
    }
    return [...found].sort((a, b) => b.id - a.id).slice(0, query.limit ?? 100)
  }

  #open(signal: Signal, { receiver, transport, peer }: Context, items: number): JournalRecord {
    this.begun++
    const from = cut(peer)
    return {
      id: ++this.#lastId,
      at: Date.now(),
      receiver,
      transport,
      peer: from,
      signal,
      items,
      events: [],
      more: 0,
      outcome: undefined,
      answeredAt: undefined,
      answeredBefore: undefined,
      trace: undefined,
      bytes: recordCost + textCost(from ?? ''),
      rings: 0,
    }
  }

  #add(record: JournalRecord, { kind, id, pipeline }: NodeName, told: Told): boolean {
    const { what, items, reason, detail, took, sample } = told
    const cost = costOf(detail, sample)
    if (record.events.length >= eventLimit || (record.rings > 0 && !this.#take(cost))) {
      record.more++
      return false
    }
    record.bytes += cost
    const event = { at: Date.now(), kind, component: id, pipeline, what, items, reason, detail, took, sample }
    record.events.push(event)
    record.trace?.happened(record, event)
    return true
  }

  /** Records that are kept. */
  get kept(): number {
    const kept = new Set<JournalRecord>()
    for (const { records } of this.#rings.values()) for (const record of records) kept.add(record)
    return kept.size
  }

  #ring(name: NodeName, what: Happening, reason: string | undefined): Ring {
    let known = this.#known.get(name)
    if (known === undefined) this.#known.set(name, (known = []))
    for (const ring of known) if (ring.what === what && ring.reason === reason) return ring
    const key = `${name.id} ${name.pipeline} ${what} ${reason ?? ''}`
    let ring = this.#rings.get(key)
    if (ring === undefined) this.#rings.set(key, (ring = { what, reason, records: [], second: 0, samples: 0 }))
    known.push(ring)
    return ring
  }

  /** Keeps a record in a ring, in place of the oldest there where there is no room for more. */
  #put(ring: Ring, record: JournalRecord): void {
    const { records } = ring
    if (records.length >= ringSize) this.#forgetOldest(ring)
    if (record.rings === 0) {
      while (!this.#take(record.bytes)) if (!this.#forgetOldest(ring)) return
    }
    record.rings++
    records.push(record)
  }

  #forgetOldest({ records }: Ring): boolean {
    const oldest = records.shift()
    if (oldest === undefined) return false
    if (--oldest.rings > 0) return true
    this.#bytes -= oldest.bytes
    this.#room.shrink(oldest.bytes)
    return true
  }

  #take(bytes: number): boolean {
    if (this.#bytes + bytes > mostBytes || !this.#room.grow(bytes)) return false
    this.#bytes += bytes
    return true
  }

  /** Whether there were as many in this second as samples are taken of. */
  #isFrequent(ring: Ring): boolean {
    const second = Math.floor(Date.now() / 1000)
    if (second !== ring.second) {
      ring.second = second
      ring.samples = 0
    }
    return ++ring.samples > samplesPerSecond
  }
}

/** The sender of a request was answered. */
export function endRecord(record: JournalRecord, outcome: Outcome): void {
  record.outcome = outcome.kind
  record.answeredAt = Date.now()
  record.answeredBefore = undefined
  record.trace?.ended(record, outcome)
}

/** What is told of an event, besides where it was. */
type Told = Pick<JournalEvent, 'what' | 'items'> & Partial<Pick<JournalEvent, 'reason' | 'detail' | 'took' | 'sample'>>

/** What others say, up to a length. */
function cut<T extends string | undefined>(text: T): T | string {
  return text !== undefined && text.length > longestText ? `${text.slice(0, longestText)}…` : text
}

/** Bytes of an event. */
function costOf(detail: string | undefined, sample: Sample | undefined): number {
  return eventCost + (detail === undefined ? 0 : textCost(detail)) + (sample === undefined ? 0 : sampleCost(sample))
}

function same(event: JournalEvent, name: NodeName, what: Happening, reason: string | undefined): boolean {
  return (
    event.what === what && event.reason === reason && event.component === name.id && event.pipeline === name.pipeline
  )
}

function matches(record: JournalRecord, query: JournalQuery): boolean {
  const { component, receiver, signal, what, reason, since = 0, until = Infinity } = query
  if (receiver !== undefined && record.receiver !== receiver) return false
  if (signal !== undefined && record.signal !== signal) return false
  if (record.at < since || record.at > until) return false
  if (component === undefined && what === undefined && reason === undefined) return true
  return record.events.some(
    event =>
      (component === undefined || event.component === component) &&
      (what === undefined || event.what === what) &&
      (reason === undefined || event.reason === reason),
  )
}
