/** What stands in queues on disk and among dead letters, as `/v1/queues` and `/v1/dead-letters` tell it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backlog, DurableQueue, QueueTotals, QueueView, Storage, StoredRecord } from '../core/storage.ts'
import { readRequest } from '../proto/request.ts'
import { sampleResource } from '../proto/sample.ts'
import { ownerOf, type RecordRange, type RecordReader, tally, type RecordTally } from './records.ts'
import type { Foreseen } from './outlook.ts'
import { time, wholeSeconds } from './status.ts'

/** Milliseconds that an answer waits for disks to say what they have. */
const diskPatience = 500

/** What is told of a storage. */
export interface StorageView extends Pick<Storage, 'maxAge' | 'roomOnDisk' | 'lookAtDisk' | 'trouble' | 'list'> {
  readonly deadLetters: Pick<DurableQueue, 'backlog' | 'totals'> | undefined
}

/** A storage with the id of its extension. */
export interface NamedStorage<S = Storage> {
  readonly id: string
  readonly storage: S
}

/** One storage as `/v1/queues` tells it. */
export type StorageDocument = ReturnType<typeof storageDocument>
/** One queue, likewise. */
export type QueueDocument = ReturnType<typeof queueDocument>
/** The dead letters of one storage, likewise. */
export type DeadLettersDocument = ReturnType<typeof deadLettersDocument>
/** All of it. */
export interface QueuesDocument {
  readonly storages: readonly StorageDocument[]
  readonly queues: readonly QueueDocument[]
  readonly dead_letters: readonly DeadLettersDocument[]
}

/** How a storage is. */
export function storageDocument({ id, storage }: NamedStorage<Pick<Storage, 'maxAge' | 'roomOnDisk' | 'trouble'>>) {
  const { trouble, roomOnDisk, maxAge } = storage
  return {
    id,
    /** `ok`, or why appends are refused: full, sick, closed, locked. */
    state: trouble?.kind ?? 'ok',
    ...(trouble === undefined ? {} : { error: trouble.message }),
    /** What `max_size` leaves, and no more than the disk has. */
    room_bytes: roomOnDisk,
    max_age_seconds: maxAge / 1000,
  }
}

/** The same with how long there is room yet, as the status has it. */
export const storageStatus = (storage: NamedStorage, outlook: Foreseen) => ({
  ...storageDocument(storage),
  full_in_seconds: wholeSeconds(outlook.ofStorage(storage.id)),
})

/** Whether nobody sends what a queue has; `lent` are those that are only read. */
export const isOrphan = ({ owner, taken, backlog }: QueueView, lent: ReadonlySet<string>): boolean =>
  backlog.records > 0 && (!taken || lent.has(owner))

/** One queue. */
export function queueDocument(storage: string, view: QueueView, lent: ReadonlySet<string> = new Set()) {
  const { owner, taken, backlog, totals } = view
  const [exporter, signal] = ownerOf(owner)
  return {
    storage,
    owner,
    exporter,
    signal,
    /** An exporter of the running configuration sends it. */
    running: taken && !lent.has(owner),
    orphan: isOrphan(view, lent),
    ...backlogDocument(backlog),
    totals: { ...totals },
  }
}

function backlogDocument({ records, items, bytes, oldest }: Backlog) {
  return { records, items, bytes, oldest: time(oldest), oldest_age_seconds: ageOf(oldest) }
}

/** Seconds since a time; null without one. */
export function ageOf(since: number | undefined, now = Date.now()): number | null {
  return since === undefined ? null : Math.max(0, Math.round((now - since) / 1000))
}

/** Counts of dead letters, by owner and reason. */
export function deadLettersDocument(
  storage: string,
  { backlog, totals }: { readonly backlog: Backlog; readonly totals: QueueTotals },
  { by, cut }: { readonly by: readonly RecordTally[]; readonly cut: boolean },
) {
  return {
    storage,
    ...backlogDocument(backlog),
    totals: { ...totals },
    by: by.map(one => ({ ...one })),
    /** There are more than `by` counts: all of them would have to be read. */
    ...(cut ? { cut } : {}),
  }
}

/** All queues of these storages. */
export async function queuesDocument(
  storages: readonly NamedStorage<StorageView>[],
  lent: (storage: string) => ReadonlySet<string>,
  readerOf: (storage: string) => RecordReader | undefined,
): Promise<QueuesDocument> {
  const dead = storages.map(async ({ id, storage: { deadLetters } }) => {
    const reader = readerOf(id)
    if (deadLetters === undefined) return []
    // What cannot be read is no reason to say nothing of the rest.
    const counts = reader && (await tally(reader).catch(() => undefined))
    return [deadLettersDocument(id, deadLetters, counts ?? { by: [], cut: true })]
  })
  // A disk that hangs says no more than it said before.
  await Promise.race([Promise.all(storages.map(({ storage }) => storage.lookAtDisk())), sleep(diskPatience)])
  return {
    storages: storages.map(storageDocument),
    queues: storages.flatMap(({ id, storage }) => storage.list().map(view => queueDocument(id, view, lent(id)))),
    dead_letters: (await Promise.all(dead)).flat(),
  }
}

/** Whether values of what the owner of a queue had may be shown. */
type Shows = (owner: string) => boolean

/** One dead letter as `/v1/dead-letters` tells it. */
export type DeadLetterDocument = ReturnType<typeof deadLetterDocument>

function deadLetterDocument(storage: string, record: StoredRecord, shows: Shows) {
  const { seq, at, note, signal, items, bytes } = record
  return {
    storage,
    seq,
    at: time(at),
    owner: note?.owner ?? '',
    reason: note?.reason ?? '',
    message: note?.message ?? '',
    signal,
    items,
    bytes,
    sample: sampleOf(record, shows(note?.owner ?? '')),
  }
}

/** Some attributes of the first resource. */
function sampleOf({ signal, payload }: StoredRecord, values: boolean): Record<string, string> {
  try {
    const [group] = readRequest(signal, payload).groups
    return group === undefined ? {} : sampleResource(group, values)
  } catch {
    // It may be why nobody takes it.
    return {}
  }
}

/** Dead letters in a range, oldest first, `limit` at most. */
export async function deadLetterDocuments(
  readers: readonly { readonly id: string; readonly reader: RecordReader }[],
  range: RecordRange,
  limit: number,
  shows: Shows,
): Promise<{ dead_letters: DeadLetterDocument[]; more?: true }> {
  const found: DeadLetterDocument[] = []
  for (const { id, reader } of readers) {
    for await (const record of reader.records(range)) {
      if (found.length === limit) return { dead_letters: found, more: true }
      found.push(deadLetterDocument(id, record, shows))
    }
  }
  return { dead_letters: found }
}
