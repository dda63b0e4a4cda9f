import { expect, test } from 'vitest'
import { StorageError } from '../../core/storage.ts'
import type { MetricSources } from '../../telemetry/family.ts'
import { queueFamilies } from '../../telemetry/queue-families.ts'

const none = { delivered: 0, rejected: 0, dead_lettered: 0, lost: 0, returned: 0, handed_over: 0, corrupt: 0 }
const some = { records: 2, items: 30, bytes: 400, oldest: Date.now() - 60_000 }
const empty = { records: 0, items: 0, bytes: 0, oldest: undefined }

const storages = () => [
  {
    id: 'file_storage',
    storage: {
      roomOnDisk: 1000,
      trouble: new StorageError('full', 'no room'),
      list: () => [
        { owner: 'otlp/a traces', taken: true, backlog: some, totals: { ...none, appended: 40, delivered: 10 } },
        { owner: 'old logs', taken: false, backlog: some, totals: { ...none, appended: 35, corrupt: 5 } },
        { owner: 'idle logs', taken: false, backlog: empty, totals: { ...none, appended: 0 } },
      ],
      deadLetters: { backlog: some, totals: { ...none, appended: 31, lost: 1 } },
    },
  },
  { id: 'file_storage/2', storage: { roomOnDisk: 7, trouble: undefined, list: () => [], deadLetters: undefined } },
]

/** The rows of a family of which labels have these values, as `values of labels: value`. */
function rows(name: string, given: Pick<MetricSources, 'storages'> = { storages }): string[] {
  const family = queueFamilies.find(one => one.name === name)
  if (family === undefined) throw new Error(`no ${name}`)
  // Nothing else is read by these.
  return [...family.read(given as MetricSources)].map(({ labels, value }) => {
    expect(Object.keys(labels)).toEqual(family.labels)
    return `${Object.values(labels).join(' ')}: ${value}`
  })
}

test.each([
  [
    'kymo_queue_disk_records',
    ['file_storage otlp/a traces: 2', 'file_storage old logs: 2', 'file_storage idle logs: 0'],
  ],
  [
    'kymo_queue_disk_orphan',
    ['file_storage otlp/a traces: 0', 'file_storage old logs: 1', 'file_storage idle logs: 0'],
  ],
  [
    'kymo_queue_disk_oldest_age_seconds',
    ['file_storage otlp/a traces: 60', 'file_storage old logs: 60', 'file_storage idle logs: 0'],
  ],
  ['kymo_storage_room_bytes', ['file_storage: 1000', 'file_storage/2: 7']],
  ['kymo_dead_letters_items', ['file_storage: 30']],
  ['kymo_dead_letters_oldest_age_seconds', ['file_storage: 60']],
])('%s', (name, expected) => {
  expect(rows(name)).toEqual(expected)
})

test.each([
  ['kymo_storage_state', ['file_storage full: 1', 'file_storage ok: 0', 'file_storage/2 ok: 1']],
  [
    'kymo_queue_disk_ended_items_total',
    ['file_storage otlp/a traces delivered: 10', 'file_storage old logs corrupt: 5'],
  ],
  ['kymo_dead_letters_ended_items_total', ['file_storage lost: 1']],
])('%s, among others', (name, expected) => {
  expect(rows(name)).toEqual(expect.arrayContaining(expected))
})

test('what was put in is what ended and what is there', () => {
  const of = (name: string) => rows(name).map(row => [row.split(' ')[1], Number(row.split(': ')[1])] as const)
  const sum = (name: string, exporter: string) =>
    of(name).reduce((total, [one, value]) => total + (one === exporter ? value : 0), 0)
  for (const exporter of ['otlp/a', 'old', 'idle']) {
    const there = sum('kymo_queue_disk_ended_items_total', exporter) + sum('kymo_queue_disk_items', exporter)
    expect(there).toBe(sum('kymo_queue_disk_appended_items_total', exporter))
  }
})

test.each(queueFamilies.map(({ name }) => name))('%s has nothing to say where there is no storage', name => {
  expect(rows(name, {})).toEqual([])
})
