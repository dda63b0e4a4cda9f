/** Records of queues on disk, for people: chosen by where they came from, why they were put aside, and when. */
import { quoted } from '../config/nearest.ts'
import { type DurableQueue, StorageError, type Stored, type StoredRecord } from '../core/storage.ts'
import { allSignals, type Signal } from '../proto/signals.ts'
import { type Query, QueryError } from './query.ts'

/** Which records; what is absent matches all. */
export interface RecordRange {
  /** Exporter id and signal, of what was put aside. */
  readonly owner?: string | undefined
  /** Exporter id, whatever the signal. */
  readonly exporter?: string | undefined
  readonly reason?: string | undefined
  readonly signal?: Signal | undefined
  /** Milliseconds since the epoch. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  /** Places in the log, both included. */
  readonly first?: number | undefined
  readonly last?: number | undefined
}

/** The parameters that a range is read from. */
export const rangeParameters = ['owner', 'reason', 'signal', 'since', 'until', 'seq'] as const

/** Reads a range. @throws QueryError */
export function rangeOf(query: Query): RecordRange {
  const [first, last] = placesOf(query.text('seq'))
  return {
    owner: query.text('owner'),
    reason: query.text('reason'),
    signal: query.word('signal', allSignals, 'signal'),
    since: query.time('since'),
    until: query.time('until'),
    first,
    last,
  }
}

function placesOf(text: string | undefined): [first: number | undefined, last: number | undefined] {
  if (text === undefined) return [undefined, undefined]
  const found = /^(\d+)(?:-(\d+))?$/.exec(text)
  if (found === null)
    throw new QueryError(400, `\`seq\`: \`${text}\` is no place`, 'write one such as `17`, or `17-40`')
  return [Number(found[1]), Number(found[2] ?? found[1])]
}

/** Exporter id and signal of an owner. */
export function ownerOf(owner: string): [exporter: string, signal: string] {
  const at = owner.lastIndexOf(' ')
  return at < 0 ? [owner, ''] : [owner.slice(0, at), owner.slice(at + 1)]
}

/** Whether it leaves nothing out. */
export const isEverything = (range: RecordRange): boolean => Object.values(range).every(value => value === undefined)

/** Whether a record is among those meant. */
export function isIn(range: RecordRange, record: StoredRecord): boolean {
  const { owner, exporter, reason, signal, since, until, first, last } = range
  const { note, at, seq } = record
  if (exporter !== undefined && ownerOf(note?.owner ?? '')[0] !== exporter) return false
  if (owner !== undefined && note?.owner !== owner) return false
  if (reason !== undefined && note?.reason !== reason) return false
  if (signal !== undefined && record.signal !== signal) return false
  if (at < (since ?? 0) || at > (until ?? Infinity)) return false
  return seq >= (first ?? 0) && seq <= (last ?? Infinity)
}

/** Reads one queue for several who ask at the same time. */
export class RecordReader {
  readonly queue: DurableQueue
  readonly #giveBack: (payload: Buffer) => void
  #turn: Promise<unknown> = Promise.resolve()

  /** `giveBack` takes the payloads of which nothing is needed any more. */
  constructor(queue: DurableQueue, giveBack: (payload: Buffer) => void) {
    this.queue = queue
    this.#giveBack = giveBack
  }

  /** See DurableQueue. @throws QueryError when the storage cannot be read */
  async next(after: Stored | undefined): Promise<StoredRecord | undefined> {
    const read = this.#turn.then(() => this.queue.next(after))
    this.#turn = read.catch(() => undefined)
    try {
      return await read
    } catch (error) {
      if (error instanceof StorageError) throw new QueryError(503, `the storage cannot be read: ${error.message}`)
      throw error
    }
  }

  /**
   * Those in `range` of the first `most` records, in the order of the log. Each is good until the next is asked for, unless
   * `keep` says that its payload stays with whoever took it.
   */
  async *records(range: RecordRange, { most = Infinity, keep = false } = {}): AsyncGenerator<StoredRecord, void> {
    let after: Stored | undefined
    for (let seen = 0; seen < most; seen++) {
      const record = await this.next(after)
      if (record === undefined) return
      const isMeant = isIn(range, record)
      if (isMeant) yield record
      if (!isMeant || !keep) this.#giveBack(record.payload)
      if (record.seq >= (range.last ?? Infinity)) return
      after = record
    }
  }
}

/** What there is of one owner, put aside for one reason. */
export interface RecordTally {
  readonly owner: string
  readonly reason: string
  readonly signal: Signal
  records: number
  items: number
  bytes: number
}

/** Bounds of counting: all of what is counted has to be read. */
const mostRecords = 10_000
const mostMilliseconds = 1000

/** Counts what was put aside, by owner and reason; `cut` when there is more than could be counted in time. */
export async function tally(
  reader: RecordReader,
  range: RecordRange = {},
): Promise<{ by: RecordTally[]; cut: boolean }> {
  const by = new Map<string, RecordTally>()
  const end = performance.now() + mostMilliseconds
  let counted = 0
  for await (const { note, signal, items, bytes } of reader.records(range, { most: mostRecords })) {
    const { owner = '', reason = '' } = note ?? {}
    const key = JSON.stringify([owner, reason, signal])
    const known = by.get(key) ?? { owner, reason, signal, records: 0, items: 0, bytes: 0 }
    by.set(key, known)
    known.records++
    known.items += items
    known.bytes += bytes
    counted++
    if (performance.now() > end) break
  }
  const cut = isEverything(range) ? counted < reader.queue.backlog.records : reader.queue.backlog.records > mostRecords
  return { by: [...by.values()].sort((a, b) => b.items - a.items), cut }
}

/** A part of what there is, chosen by its id. @throws QueryError that names all */
export function chosen<T extends { readonly id: string }>(all: readonly T[], id: string | undefined): readonly T[] {
  if (id === undefined) return all
  const found = all.filter(one => one.id === id)
  if (found.length > 0) return found
  const ids = all.map(one => one.id)
  const hint = ids.length === 0 ? 'no storage extension is running' : `storages: ${quoted(ids)}`
  throw new QueryError(404, `there is no storage \`${id}\` here`, hint)
}
