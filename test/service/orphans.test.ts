/** What gets too old in a queue that nobody sends: given up, booked, and told. */
import { beforeEach, expect, test } from 'vitest'
import { Books } from '../../core/books.ts'
import { StorageError } from '../../core/storage.ts'
import { OrphanExpiry } from '../../service/orphans.ts'
import { spans } from '../support/batches.ts'
import { keepingLogger, type Line } from '../support/kymo.ts'
import { MemoryStorage } from '../support/storage.ts'

let storage: MemoryStorage
let books: Books
let lines: Line[]
let expiry: OrphanExpiry

beforeEach(() => {
  storage = new MemoryStorage()
  books = new Books()
  lines = []
  expiry = new OrphanExpiry({ books, log: keepingLogger(lines), storages: () => [{ id: 'disk', storage }] })
})

/** A queue with one record for each list of spans; the first ones are as old as `ages` says, in milliseconds. */
async function queue(owner: string, ages: readonly number[], taken = false): Promise<void> {
  const made = storage.queue(owner)
  for (const [i, age] of ages.entries()) {
    await made.append(spans([`${i}`, `${i}`]))
    const last = storage.records.length - 1
    storage.records[last] = { ...storage.records[last], at: Date.now() - age }
  }
  if (!taken) made.close()
}

const hour = 3_600_000
const node = () => books.nodes.find(({ name }) => name.kind === 'exporter')
const left = (owner: string) => storage.list().find(one => one.owner === owner)

test('what is older than `max_age` is lost as expired, at the exporter that left it, and the books balance', async () => {
  await queue('otlp/old traces', [2 * hour, hour + 1000, hour / 2])
  await expiry.look()
  expect(left('otlp/old traces')).toMatchObject({ backlog: { records: 1, items: 2 }, totals: { lost: 4 } })
  expect(node()).toMatchObject({
    name: { id: 'otlp/old', signal: 'traces', pipeline: '' },
    recovered: 4,
    retired: true,
  })
  expect(node()?.lost.of('expired').value).toBe(4)
  expect(books.faults()).toEqual([])
  expect(lines).toMatchObject([
    {
      level: 'error',
      message: expect.stringContaining('expired in a queue on disk'),
      fields: { storage: 'disk', queue: 'otlp/old traces', records: 2, items: 4, max_age_seconds: 3600 },
    },
  ])
  // The rest is not old enough yet, and then it is.
  await expiry.look()
  expect(lines).toHaveLength(1)
  storage.ahead = hour
  await expiry.look()
  expect(left('otlp/old traces')?.backlog.records).toBe(0)
  expect(node()?.lost.of('expired').value).toBe(6)
})

test('a queue that somebody sends, exports or replays is left to them', async () => {
  await queue('otlp traces', [2 * hour], true)
  await expiry.look()
  expect(left('otlp traces')?.backlog.records).toBe(1)
  expect([books.nodes, lines]).toEqual([[], []])
})

test('the account of an exporter that runs with another storage stays one that runs', async () => {
  const running = books.node({ kind: 'exporter', id: 'otlp', pipeline: '', signal: 'traces' })
  await queue('otlp traces', [2 * hour])
  await expiry.look()
  expect(running).toMatchObject({ retired: false, recovered: 2 })
  expect(books.faults()).toEqual([])
})

test('an owner whose name says no signal is given up and told all the same', async () => {
  await queue('unknown/3', [2 * hour])
  await expiry.look()
  expect(left('unknown/3')?.backlog.records).toBe(0)
  expect(lines).toHaveLength(1)
  expect(books.nodes).toEqual([])
})

test('a storage that cannot be read is told, and the next look tries again', async () => {
  await queue('otlp/old traces', [2 * hour])
  const expire = storage.expire.bind(storage)
  storage.expire = () => Promise.reject(new StorageError('sick', 'the disk is broken'))
  await expiry.look()
  expect(lines).toMatchObject([{ level: 'warn', fields: { error: 'the disk is broken' } }])
  storage.expire = expire
  await expiry.look()
  expect(left('otlp/old traces')?.backlog.records).toBe(0)
})

test('storages that cannot be asked are told, and asked again', async () => {
  await queue('otlp/old traces', [2 * hour])
  let asked = 0
  const failing = new OrphanExpiry({
    books,
    log: keepingLogger(lines),
    storages() {
      if (++asked === 1) throw new Error('not now')
      return [{ id: 'disk', storage }]
    },
  })
  await failing.look()
  expect(lines).toMatchObject([{ level: 'warn', fields: { error: 'not now' } }])
  await failing.look()
  expect(node()?.lost.of('expired').value).toBe(2)
})
