/** How long there is room yet: told while it goes, and only then. */
import { expect, test } from 'vitest'
import { Books } from '../../core/books.ts'
import { StorageError } from '../../core/storage.ts'
import { fullIn, Outlook } from '../../service/outlook.ts'
import { Rates } from '../../service/rates.ts'

const queueOf = (queueSize: number, spills = false) => ({ queueSize, queueCapacity: 100, spills })

test.each([
  // 90 requests of ten items at 9 items a second.
  ['an outage', queueOf(10), { in: 9, ended: 0 }, 100],
  ['a destination that is slow', queueOf(50), { in: 20, ended: 10 }, 50],
  ['one that rejects all, so that nothing stays', queueOf(50), { in: 20, ended: 20 }, undefined],
  ['one that takes more than comes', queueOf(50), { in: 20, ended: 90 }, undefined],
  ['what may be chance', queueOf(50), { in: 20, ended: 19 }, undefined],
  ['hardly anything in it', queueOf(2), { in: 9, ended: 0 }, undefined],
  ['full already', queueOf(100), { in: 9, ended: 0 }, undefined],
  ['what does not fit waits on disk', queueOf(50, true), { in: 9, ended: 0 }, undefined],
  ['none', { queueSize: 0, queueCapacity: 0 }, { in: 9, ended: 0 }, undefined],
] as const)('a queue: %s', (_, queue, pace, seconds) => {
  expect(fullIn(queue, queue.queueSize * 10, pace)).toBe(seconds)
})

test('the queue of an exporter is known by its account, that of a process which was reloaded included', () => {
  const books = new Books()
  const now = Date.now()
  const outlook = new Outlook(books, new Rates(books, now - 60_000), () => [])
  const figures = { id: 'sink', signal: 'traces', ...queueOf(10), inFlight: 0 } as const
  const old = books.node({ kind: 'exporter', id: 'sink', pipeline: 'old', signal: 'traces' })
  old.retired = true
  expect(outlook.ofQueue(figures)).toBeUndefined()
  const node = books.node({ kind: 'exporter', id: 'sink', pipeline: '', signal: 'traces' })
  node.in = 600
  node.holds(() => 100)
  expect(outlook.ofQueue(figures)).toBeCloseTo(90, 0)
  expect(outlook.ofQueue({ ...figures, signal: 'logs' })).toBeUndefined()
})

/** A storage that is told what it has. */
function storage() {
  const disk = {
    room: 1000,
    roomOnDisk: 1000,
    waiting: [0, 0],
    trouble: undefined as StorageError | undefined,
    list: () => disk.waiting.map(bytes => ({ owner: 'a', taken: true, backlog: { bytes }, totals: {} }) as never),
  }
  const books = new Books()
  const storages = [{ id: 'disk', storage: disk }]
  return { disk, storages, outlook: new Outlook(books, new Rates(books, 0), () => storages) }
}

test.each<[string, (disk: ReturnType<typeof storage>['disk'], step: number) => void, number | undefined]>([
  // 120 are gone after a minute, 880 are left.
  ['fills', (disk, n) => void ((disk.room = disk.roomOnDisk = 1000 - 10 * n), (disk.waiting = [10 * n, 0])), 440],
  [
    'has two queues with the same, which stands on it once',
    (disk, n) => void ((disk.room = disk.roomOnDisk = 1000 - 10 * n), (disk.waiting = [10 * n, 10 * n])),
    440,
  ],
  [
    'is on a disk that has less than it may use',
    (disk, n) => void ((disk.room = 1000 - 10 * n), (disk.roomOnDisk = 88), (disk.waiting = [10 * n, 0])),
    44,
  ],
  ['begins a file, and nothing stays', (disk, n) => void (disk.room = disk.roomOnDisk = 1000 - 10 * n), undefined],
  ['empties', (disk, n) => void (disk.waiting = [500 - 10 * n, 0]), undefined],
  ['has nothing to do', () => {}, undefined],
])('a storage that %s', (_, step, seconds) => {
  const { disk, outlook } = storage()
  for (let n = 0; n <= 12; n++) {
    step(disk, n)
    outlook.look(n * 5000)
  }
  expect(outlook.ofStorage('disk', 60_000)).toBe(seconds)
})

test('of the first moments, of trouble, and of a storage that is gone nothing is foreseen; the last minute is what counts', () => {
  const { disk, storages, outlook } = storage()
  const fill = (n: number) => {
    disk.room = disk.roomOnDisk = 1000 - n
    disk.waiting = [n, 0]
  }
  outlook.look(0)
  fill(100)
  expect(outlook.ofStorage('disk', 5000)).toBeUndefined()
  expect(outlook.ofStorage('disk', 10_000)).toBe(90)
  disk.trouble = new StorageError('sick', 'no disk')
  expect(outlook.ofStorage('disk', 10_000)).toBeUndefined()
  disk.trouble = undefined
  for (let now = 5000; now <= 120_000; now += 5000) outlook.look(now)
  expect(outlook.ofStorage('disk', 120_000)).toBeUndefined()
  storages.splice(0)
  outlook.look(125_000)
  expect(outlook.ofStorage('disk', 125_000)).toBeUndefined()
})
