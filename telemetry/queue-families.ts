/** Metrics of queues on disk and of dead letters. */
import { type Backlog, endings, type QueueTotals, type QueueView } from '../core/storage.ts'
import { counter, gauge, type MetricSources, type OwnFamily } from './family.ts'
import type { AddsUp, Row } from './metrics.ts'

type Labels = Readonly<Record<string, string>>

/** Exporter and signal of an owner; see DurableQueue. */
function labelsOf(storage: string, owner: string): Labels {
  const at = owner.lastIndexOf(' ')
  return { storage, exporter: owner.slice(0, Math.max(0, at)), data_type: owner.slice(at + 1) }
}

function* queues({ storages }: MetricSources): Iterable<QueueView & { labels: Labels }> {
  for (const { id, storage } of storages?.() ?? []) {
    for (const view of storage.list()) yield { labels: labelsOf(id, view.owner), ...view }
  }
}

function* graves({ storages }: MetricSources): Iterable<{ labels: Labels; backlog: Backlog; totals: QueueTotals }> {
  for (const { id, storage } of storages?.() ?? []) {
    const { deadLetters } = storage
    if (deadLetters === undefined) continue
    yield { labels: { storage: id }, backlog: deadLetters.backlog, totals: deadLetters.totals }
  }
}

/** Seconds that the oldest record has been there; 0 without any. */
const ageOf = ({ oldest = Date.now() }: Backlog) => Math.max(0, Math.round((Date.now() - oldest) / 1000))

const queueLabels = ['storage', 'exporter', 'data_type']

function perQueue(name: string, help: string, adds: AddsUp, value: (view: QueueView) => number): OwnFamily {
  return gauge(name, help, adds, queueLabels, function* (sources) {
    for (const { labels, ...view } of queues(sources)) yield { labels, value: value(view) }
  })
}

function perGrave(name: string, help: string, adds: AddsUp, value: (backlog: Backlog) => number): OwnFamily {
  return gauge(name, help, adds, ['storage'], function* (sources) {
    for (const { labels, backlog } of graves(sources)) yield { labels, value: value(backlog) }
  })
}

/** Every way in which items of a queue ended. */
function* ends(labels: Labels, totals: QueueTotals): Iterable<Row> {
  for (const ending of [...endings, 'corrupt'] as const) yield { labels: { ...labels, ending }, value: totals[ending] }
}

const states = ['ok', 'full', 'sick', 'closed', 'locked'] as const

const diskFamilies: readonly OwnFamily[] = [
  perQueue(
    'kymo_queue_disk_records',
    'Batches in a queue on disk, those of queues that no exporter sends included.',
    'sum',
    ({ backlog }) => backlog.records,
  ),
  perQueue('kymo_queue_disk_items', 'Items in a queue on disk.', 'sum', ({ backlog }) => backlog.items),
  perQueue('kymo_queue_disk_bytes', 'Bytes of payload in a queue on disk.', 'sum', ({ backlog }) => backlog.bytes),
  perQueue(
    'kymo_queue_disk_oldest_age_seconds',
    'Age of the oldest batch of a queue on disk; 0 without any.',
    'max',
    view => ageOf(view.backlog),
  ),
  perQueue(
    'kymo_queue_disk_orphan',
    '1 where a queue on disk has data that no exporter of the configuration sends.',
    'max',
    ({ backlog, taken }) => (backlog.records > 0 && !taken ? 1 : 0),
  ),
  counter(
    'kymo_queue_disk_appended_items_total',
    'Items that were ever put into a queue on disk, over all restarts.',
    queueLabels,
    function* (sources) {
      for (const { labels, totals } of queues(sources)) yield { labels, value: totals.appended }
    },
  ),
  counter(
    'kymo_queue_disk_ended_items_total',
    'Items of a queue on disk that ended, over all restarts, by how they did.',
    [...queueLabels, 'ending'],
    function* (sources) {
      for (const { labels, totals } of queues(sources)) yield* ends(labels, totals)
    },
  ),
  gauge(
    'kymo_storage_room_bytes',
    'Bytes that a storage takes until it refuses as full: what `max_size` leaves, and no more than the disk has.',
    'each',
    ['storage'],
    sources =>
      (sources.storages?.() ?? []).map(({ id, storage }) => ({ labels: { storage: id }, value: storage.roomOnDisk })),
  ),
  gauge(
    'kymo_storage_state',
    '1 for the state a storage is in: ok, or why it takes nothing.',
    'each',
    ['storage', 'state'],
    sources =>
      (sources.storages?.() ?? []).flatMap(({ id, storage: { trouble } }) =>
        states.map(state => ({ labels: { storage: id, state }, value: (trouble?.kind ?? 'ok') === state ? 1 : 0 })),
      ),
  ),
]

const deadLetterFamilies: readonly OwnFamily[] = [
  perGrave(
    'kymo_dead_letters_records',
    'Batches put aside: no destination takes them.',
    'sum',
    backlog => backlog.records,
  ),
  perGrave('kymo_dead_letters_items', 'Items put aside.', 'sum', backlog => backlog.items),
  perGrave('kymo_dead_letters_bytes', 'Bytes of payload put aside.', 'sum', backlog => backlog.bytes),
  perGrave('kymo_dead_letters_oldest_age_seconds', 'Age of the oldest dead letter; 0 without any.', 'max', ageOf),
  counter(
    'kymo_dead_letters_appended_items_total',
    'Items that were ever put aside, over all restarts.',
    ['storage'],
    function* (sources) {
      for (const { labels, totals } of graves(sources)) yield { labels, value: totals.appended }
    },
  ),
  counter(
    'kymo_dead_letters_ended_items_total',
    'Dead letters that ended, over all restarts: handed_over (replayed, dropped), rejected again, lost (too old, no room).',
    ['storage', 'ending'],
    function* (sources) {
      for (const { labels, totals } of graves(sources)) yield* ends(labels, totals)
    },
  ),
]

/** All of them. */
export const queueFamilies: readonly OwnFamily[] = [...diskFamilies, ...deadLetterFamilies]
