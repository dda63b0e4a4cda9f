import { expect, test } from 'vitest'
import { deadLettersText, queuesText } from '../../cli/queue-text.ts'
import { reportText } from '../../cli/replay.ts'
import { deadLettersDocument, queueDocument } from '../../service/queue-pages.ts'

const none = { delivered: 0, rejected: 0, dead_lettered: 0, lost: 0, returned: 0, handed_over: 0, corrupt: 0 }
const backlog = { records: 12, items: 6100, bytes: 3_400_000, oldest: Date.now() - 240_000 }
const totals = { ...none, appended: 9000, delivered: 2890, lost: 7, corrupt: 3 }
const empty = { records: 0, items: 0, bytes: 0, oldest: undefined }
const disk = { id: 'file_storage', state: 'ok' as const, room_bytes: 9 * 2 ** 30, max_age_seconds: 3600 }
const view = (owner: string, more: object = {}) =>
  queueDocument('file_storage', { owner, taken: true, backlog, totals, ...more })
const grave = (by: Parameters<typeof deadLettersDocument>[2]['by'], cut = false) =>
  deadLettersDocument('file_storage', { backlog, totals }, { by, cut })
const tally = {
  owner: 'otlp traces',
  reason: 'rejected',
  signal: 'traces',
  records: 2,
  items: 30,
  bytes: 2048,
} as const

const lines = (text: string) => text.split('\n').map(line => line.replaceAll(/ {2,}/g, '  ').trimEnd())

test('queues with their state, what waits and since when, and what was lost', () => {
  const queues = [view('otlp traces'), view('otlp/old logs', { taken: false }), view('x logs', { backlog: empty })]
  const text = queuesText({ storages: [disk], queues, dead_letters: [grave([tally], true)] })
  expect(lines(text).slice(0, 5)).toEqual([
    'storage file_storage: ok, room for 9.0 GiB',
    '',
    'QUEUE  STORAGE  STATE  BATCHES  ITEMS  SIZE  OLDEST  DELIVERED  LOST',
    'otlp traces  file_storage  in use  12  6.1k  3.2 MiB  4m  2.9k  10',
    'otlp/old logs  file_storage  orphan  12  6.1k  3.2 MiB  4m  2.9k  10',
  ])
  expect(lines(text).slice(7, 11)).toEqual([
    'DEAD LETTERS OF  STORAGE  REASON  BATCHES  ITEMS  SIZE  OLDEST',
    'otlp traces  file_storage  rejected  2  30  2.0 KiB',
    '...  file_storage',
    'all  file_storage  12  6.1k  3.2 MiB  4m',
  ])
  expect(text).toContain("Nobody sends 'otlp/old logs': exporter otlp/old is in no pipeline")
  expect(text.match(/Nobody sends/g)).toHaveLength(1)
})

test('what is read from a directory says nothing of who sends it', () => {
  const queues = [view('otlp traces', { taken: false })]
  const text = queuesText(
    { storages: [], queues, dead_letters: [grave([], true)], damaged: ['a.seg, from byte 7 on'] },
    { directory: '/d' },
  )
  expect(text).toMatch(/on disk +12/)
  expect(text).not.toContain('Nobody sends')
  expect(text).toContain('not readable: a.seg, from byte 7 on')
  expect(text).toMatch(/^QUEUE/)
})

test.each([
  [{}, 'no exporter has `sending_queue.storage`'],
  [{ directory: '/d' }, '/d has no queues'],
])('nothing there, asked with %j', (where, text) => {
  expect(queuesText({ storages: [], queues: [], dead_letters: [] }, where)).toContain(text)
})

test('dead letters with what was said and what they are; a terminal obeys none of it', () => {
  const letter = {
    storage: 'file_storage',
    seq: 17,
    at: new Date().toISOString(),
    owner: 'otlp traces',
    reason: 'rejected',
    message: 'bad\u001b[2J tenant',
    signal: 'traces' as const,
    items: 3,
    bytes: 100,
    sample: { 'service.name': 'shop\n' },
  }
  const text = deadLettersText({ dead_letters: [letter], more: true })
  expect(text).toMatch(/17 .* otlp traces +rejected +3 +100 B +bad \[2J tenant\n {4}service.name=shop/)
  expect(text).toContain('there are more')
  expect(text).not.toContain('\u001b')
})

test('a line break in the id of an exporter makes no second row: what a dead letter was like stands below its own', () => {
  const where = { storage: 's', signal: 'traces', at: '2026-11-28T10:00:00.000Z' } as const
  const what = { reason: 'rejected', items: 3, bytes: 100, message: 'no' }
  const one = (seq: number, owner: string, name: string) => ({
    ...where,
    ...what,
    seq,
    owner,
    sample: { 'service.name': name },
  })
  const letters = [one(17, 'otlp/a\nb traces', 'shop'), one(18, 'otlp/c traces', 'bank')]
  const [, first, shop, second, bank, ...more] = lines(deadLettersText({ dead_letters: letters }))
  expect(first).toContain('17')
  expect(first).toContain('otlp/a b traces  rejected')
  expect(shop).toContain('service.name=shop')
  expect(second).toContain('18')
  expect(bank).toContain('service.name=bank')
  expect(more).toEqual(['`kymo replay --seq SEQ` sends one again', ''])
})

test.each([
  [{ state: 'none' }, 'nothing has been replayed since this Kymo started'],
  [{ state: 'done', records: 0 }, 'nothing to replay: no record matches'],
  [{ state: 'done', records: 2, items: 9, replayed: 9 }, 'replayed 9 of 9 items in 2 batches'],
  [
    { state: 'gave_up', records: 2, items: 9, replayed: 4, rejected: 1, left: 4, error: 'full' },
    'gave up: replayed 4 of 9 items in 2 batches; 1 were rejected again; 4 are left where they were: full',
  ],
  [
    { state: 'done', records: 2, items: 9, replayed: 1, put_aside_again: 3, waiting: 5, error: 'no' },
    'replayed 1 of 9 items in 2 batches; 3 were refused again, and put aside anew; ' +
      '5 wait in a queue on disk, and what their destination says is not known yet: no',
  ],
] as const)('a replay that ended as %j', (report, text) => {
  expect(reportText(report as Parameters<typeof reportText>[0])).toBe(`${text}\n`)
})
