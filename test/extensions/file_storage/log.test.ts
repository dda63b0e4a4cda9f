import { expect, test } from 'vitest'
import { endings, type DurableQueue } from '../../../core/storage.ts'
import { batchOf, spans } from '../../support/batches.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'
import { allOf, directory, lines, namesIn, openLog, settled } from './opening.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { SimulatedDisk } from './simulated-disk.ts'

const big = (name: string, size = 20_000) => spans([name + 'x'.repeat(size)])
const short = (names: readonly (string[] | undefined)[]) =>
  names.map(list => list?.map(name => name.replace(/x+$/, '')))

function balance({ totals, backlog }: DurableQueue): number {
  let ended = totals.corrupt
  for (const kind of endings) ended += totals[kind]
  return totals.appended - ended - backlog.items
}

test('what was appended is read back in order, with all that was known of it', async () => {
  const log = await openLog(new SimulatedDisk())
  const queue = log.queue('otlp traces')
  const first = batchOf(tracesRequest([{ spans: ['a', 'b'] }, { spans: ['c'] }]), { metadata: { tenant: 'one' } })
  const note = { owner: 'otlp traces', reason: 'rejected', message: 'no' }
  const places = await Promise.all([queue.append(first, note), queue.append(spans(['d']))])
  const [one, two] = await allOf(queue)
  expect(namesIn(one)).toEqual(['a', 'b', 'c'])
  expect(one).toMatchObject({ ...places[0], signal: 'traces', note, shares: [{ items: 3, groups: 2 }] })
  expect(one.context.metadata).toEqual(new Map([['tenant', ['one']]]))
  expect(namesIn(two)).toEqual(['d'])
  expect(two.seq).toBeGreaterThan(one.seq)
  expect(queue.backlog).toMatchObject({ records: 2, items: 4, bytes: one.bytes + two.bytes, oldest: one.at })
})

test('what was not ended is there after a restart, and the totals go on', async () => {
  const disk = new SimulatedDisk()
  const before = await openLog(disk)
  const queue = before.queue('otlp traces')
  for (const name of ['a', 'b', 'c']) await queue.append(spans([name, name]))
  const [a, b] = await allOf(queue)
  queue.end(a, 2, 'delivered')
  queue.end(b, 1, 'rejected')
  expect(balance(queue)).toBe(0)
  expect(queue.totals).toMatchObject({ appended: 6, delivered: 2, rejected: 1 })
  await before.close()

  const after = await openLog(new SimulatedDisk(disk.image))
  expect(after.orphans()).toMatchObject([{ owner: 'otlp traces', records: 2, items: 4 }])
  const again = after.queue('otlp traces')
  // A record that ended in part comes again as a whole, so its part does not count.
  expect(again.totals).toMatchObject({ appended: 6, delivered: 2, rejected: 0 })
  expect(again.recovered).toBe(4)
  expect(balance(again)).toBe(0)
  expect(short((await allOf(again)).map(namesIn))).toEqual([
    ['b', 'b'],
    ['c', 'c'],
  ])
  const next = await again.append(spans(['d']))
  expect(next.seq).toBeGreaterThan(3)
})

test('a record ends when all its items have, each as its own piece did', async () => {
  const log = await openLog(new SimulatedDisk())
  const queue = log.queue('q')
  const place = await queue.append(spans(['a', 'b', 'c']))
  queue.end(place, 1, 'delivered')
  queue.end(place, 1, 'rejected')
  expect(queue.backlog).toMatchObject({ records: 1, items: 1 })
  queue.end(place, 1, 'lost')
  expect(queue.backlog).toMatchObject({ records: 0, items: 0, bytes: 0, oldest: undefined })
  queue.end(place, 1, 'delivered')
  expect(queue.totals).toMatchObject({ appended: 3, delivered: 1, rejected: 1, lost: 1 })
  expect(await queue.next(undefined)).toBeUndefined()
})

test('queues that append the same batch in one turn share a record, and end it each for itself', async () => {
  const disk = new SimulatedDisk()
  const log = await openLog(disk)
  const [a, b] = [log.queue('a'), log.queue('b')]
  const batch = big('shared')
  const [mine, yours] = await Promise.all([a.append(batch), b.append(batch)])
  expect(mine.seq).toBe(yours.seq)
  const written = [...disk.image.values()].join('').split('sharedxxx').length - 1
  expect(written).toBe(1)
  a.end(mine, 1, 'delivered')
  expect(await a.next(undefined)).toBeUndefined()
  expect(short([namesIn(await b.next(undefined))])).toEqual([['shared']])
  const apart = await a.append(batch)
  expect(apart.seq).not.toBe(mine.seq)
})

test('a record larger than a segment gets a segment of its own size', async () => {
  const disk = new SimulatedDisk()
  const log = await openLog(disk)
  const queue = log.queue('q')
  for (const size of [10, 300_000, 10]) await queue.append(big('a', size))
  await log.close()
  const again = (await openLog(new SimulatedDisk(disk.image))).queue('q')
  expect((await allOf(again)).map(record => record.bytes > 300_000)).toEqual([false, true, false])
})

test('a file is used again once all in it ended, and given back when there is one already', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const log = await openLog(disk, { clock })
  const queue = log.queue('q')
  const places = []
  for (let i = 0; i < 12; i++) places.push(await queue.append(big(`${i}`)))
  const before = log.used
  for (const place of places) queue.end(place, 1, 'delivered')
  clock.pass(300)
  await settled()
  expect(disk.operations.some(({ kind }) => kind === 'rename')).toBe(true)
  expect(log.used).toBeLessThan(before / 2)
  // What stood in the file before is no record of the one it has become.
  for (let i = 0; i < 3; i++) await queue.append(big(`new${i}`))
  await log.close()
  const again = (await openLog(new SimulatedDisk(disk.image))).queue('q')
  expect(short((await allOf(again)).map(namesIn))).toEqual([['new0'], ['new1'], ['new2']])
  expect(balance(again)).toBe(0)
})

test('sparse segments are made one, and who has not read that far yet misses nothing', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const log = await openLog(disk, { clock })
  const [fast, slow] = [log.queue('fast'), log.queue('slow')]
  for (let i = 0; i < 24; i++) {
    const batch = spans([`${i}`])
    await (i % 6 === 0 ? Promise.all([fast.append(batch), slow.append(batch)]) : fast.append(big(`${i}`, 9_000)))
    await fast.append(big('filler', 9_000))
  }
  const first = await slow.next(undefined)
  const second = await slow.next(first)
  for (const record of await allOf(fast)) if (record.bytes > 1_000) fast.end(record, 1, 'delivered')
  const files = disk.image.size
  clock.pass(300)
  await settled()
  expect(disk.image.size).toBeLessThan(files - 3)
  expect(short((await allOf(slow, second)).map(namesIn))).toEqual([['12'], ['18']])
  expect(short((await allOf(fast)).map(namesIn))).toEqual([['0'], ['6'], ['12'], ['18']])
  if (first !== undefined) slow.end(first, 1, 'delivered')
  await log.close()
  const after = await openLog(new SimulatedDisk(disk.image))
  expect(short((await allOf(after.queue('slow'))).map(namesIn))).toEqual([['6'], ['12'], ['18']])
  expect(short((await allOf(after.queue('fast'))).map(namesIn))).toEqual([['0'], ['6'], ['12'], ['18']])
})

test('what an orphan has can be dropped, and its space comes back', async () => {
  const disk = new SimulatedDisk()
  const before = await openLog(disk)
  await before.queue('gone').append(big('a'))
  await before.close()
  const clock = new SimulatedClock()
  const log = await openLog(new SimulatedDisk(disk.image), { clock })
  expect(log.orphans()).toHaveLength(1)
  log.drop('gone')
  expect(log.orphans()).toEqual([])
  expect(log.list()).toMatchObject([{ owner: 'gone', totals: { appended: 1, handed_over: 1 } }])
  clock.pass(300)
  await settled()
  expect(log.used).toBe(64 * 1024)
})

test('one queue has one user', async () => {
  const log = await openLog(new SimulatedDisk())
  const queue = log.queue('a')
  expect(() => log.queue('a')).toThrow('the queue of `a` is in use')
  queue.close()
  expect(log.queue('a').owner).toBe('a')
})

test('ages grow with the time that passed, whatever the clock is set to', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const log = await openLog(disk, { clock })
  const queue = log.queue('a')
  const one = await queue.append(spans(['a']))
  clock.wallOffset -= 86_400_000
  clock.pass(5_000)
  const two = await queue.append(spans(['b']))
  expect(two.at - one.at).toBe(5_000)
  await log.close()
  // The clock was set back by a day before the restart: nothing is from the future.
  const later = new SimulatedClock()
  later.wallOffset = clock.wallOffset
  const again = (await openLog(new SimulatedDisk(disk.image), { clock: later })).queue('a')
  expect((await allOf(again)).map(({ at }) => at)).toEqual([later.wall(), later.wall()])
  expect(again.backlog.oldest).toBe(later.wall())
})

test('a log that gives up the oldest takes the newest, and counts what it lost', async () => {
  const { log: logger, errors } = lines()
  const log = await openLog(new SimulatedDisk(), { maxSize: 4 * 64 * 1024, isRing: true, log: logger })
  const queue = log.queue('dead-letters')
  for (let i = 0; i < 30; i++) await queue.append(big(`${i}`))
  const left = short((await allOf(queue)).map(namesIn)).flat()
  expect(left.at(-1)).toBe('29')
  expect(left.length).toBeGreaterThan(5)
  expect(queue.totals.lost).toBe(30 - left.length)
  expect(balance(queue)).toBe(0)
  expect(errors[0].message).toContain('the oldest records are given up')
})

test('a log with an expiry gives up what is too old', async () => {
  const clock = new SimulatedClock()
  const log = await openLog(new SimulatedDisk(), { clock, expiry: 60_000 })
  const queue = log.queue('dead-letters')
  for (let i = 0; i < 4; i++) await queue.append(big(`${i}`))
  clock.pass(50_000)
  for (let i = 4; i < 8; i++) await queue.append(big(`${i}`))
  clock.pass(15_000)
  await settled()
  clock.pass(60_000)
  await settled()
  clock.pass(60_000)
  expect(queue.backlog.records).toBe(0)
  expect(queue.totals.lost).toBe(8)
})

test.each([
  ['a byte of a payload', 'needle', 1],
  ['a byte of a front', 'toy', 1],
])('%s that is damaged costs that record, which is counted and reported', async (_name, text, lost) => {
  const disk = new SimulatedDisk()
  const before = await openLog(disk)
  const queue = before.queue('q')
  for (const name of ['one', 'needle', 'three']) await queue.append(big(name, 500))
  await before.close()
  const image = new SimulatedDisk(disk.image)
  const [[path, bytes]] = [...disk.image]
  const at = bytes.indexOf(text, text === 'toy' ? bytes.indexOf('one') : 0)
  image.damage(path, at, Buffer.from('?'))
  const { log, errors } = lines()
  const again = (await openLog(image, { log })).queue('q')
  expect(short((await allOf(again)).map(namesIn))).toEqual([['one'], ['three']])
  expect(again.totals.corrupt).toBe(lost)
  expect(balance(again)).toBe(0)
  expect(errors.length).toBeGreaterThan(0)
  expect(errors[0].fields).toMatchObject({ path })
})

test('a header that is damaged costs nothing: it stands there twice', async () => {
  const disk = new SimulatedDisk()
  const before = await openLog(disk)
  await before.queue('q').append(spans(['a']))
  await before.close()
  const image = new SimulatedDisk(disk.image)
  image.damage(`${directory}/0000000000000001.log`, 0, Buffer.alloc(512, 7))
  expect((await allOf((await openLog(image)).queue('q'))).map(namesIn)).toEqual([['a']])
})

test('a tail that is torn is cut off and reported, and what comes then is safe', async () => {
  const disk = new SimulatedDisk()
  const before = await openLog(disk)
  const queue = before.queue('q')
  await queue.append(spans(['a']))
  await queue.append(big('torn', 9_000))
  const image = new SimulatedDisk(disk.image)
  const path = `${directory}/0000000000000001.log`
  image.damage(path, (disk.image.get(path)?.indexOf('tornxxx') ?? 0) + 4_000, Buffer.alloc(512))
  const { log, warnings } = lines()
  const between = await openLog(image, { log })
  expect(warnings).toEqual(['a record that was being written was cut off'])
  const again = between.queue('q')
  expect((await allOf(again)).map(namesIn)).toEqual([['a']])
  expect(again.totals).toMatchObject({ appended: 1, corrupt: 0 })
  await again.append(spans(['b']))
  await between.close()
  const last = (await openLog(new SimulatedDisk(image.image))).queue('q')
  expect((await allOf(last)).map(namesIn)).toEqual([['a'], ['b']])
  expect(balance(last)).toBe(0)
})

test('of what nobody sends only what is old enough is given up, file by file and record by record', async () => {
  const clock = new SimulatedClock()
  const disk = new SimulatedDisk()
  const log = await openLog(disk, { clock })
  const [old, other] = [log.queue('old traces'), log.queue('other traces')]
  // The first four fill files of their own; the other queue has a part of them.
  for (const name of ['a', 'b', 'c', 'd']) {
    const batch = big(name)
    await Promise.all([old.append(batch), ...(name === 'a' ? [other.append(batch)] : [])])
    clock.pass(1000)
  }
  for (const name of ['e', 'f', 'g']) {
    await old.append(spans([name, name]))
    await other.append(spans([name]))
    clock.pass(1000)
  }
  old.close()
  const until = (seconds: number) => clock.wallOffset + seconds * 1000
  expect(await log.expire('nobody', until(9))).toEqual({ records: 0, items: 0, bytes: 0 })
  expect(await log.expire('old traces', until(-1))).toMatchObject({ records: 0 })
  // What is from that moment is as old as may be.
  expect(await log.expire('old traces', until(4))).toMatchObject({ records: 5, items: 6 })
  expect(log.list()).toMatchObject([
    { owner: 'old traces', backlog: { records: 2, items: 4, oldest: until(5) }, totals: { lost: 6 } },
    { owner: 'other traces', backlog: { records: 4 }, totals: { lost: 0 } },
  ])
  expect(short((await allOf(other)).map(namesIn))).toEqual([['a'], ['e'], ['f'], ['g']])
  // What was sent in part is lost for the rest.
  const again = log.queue('old traces')
  const first = await again.next(undefined)
  if (first !== undefined) again.end(first, 1, 'delivered')
  again.close()
  expect(await log.expire('old traces', until(5))).toMatchObject({ records: 1, items: 1 })
  await log.close()

  const after = await openLog(new SimulatedDisk(disk.image), { clock })
  const left = after.queue('old traces')
  expect((await allOf(left)).map(namesIn)).toEqual([['g', 'g']])
  expect(left.totals).toMatchObject({ appended: 10, delivered: 1, lost: 7, corrupt: 0 })
  expect(balance(left)).toBe(0)
  await after.close()
})

test('a queue that somebody uses is not given up, nor what is left when somebody comes', async () => {
  const clock = new SimulatedClock()
  const log = await openLog(new SimulatedDisk(), { clock })
  const queue = log.queue('otlp traces')
  for (const name of ['a', 'b', 'c']) {
    await queue.append(spans([name]))
    clock.pass(1000)
  }
  const until = clock.wallOffset + 1000
  expect(await log.expire('otlp traces', until)).toMatchObject({ records: 0 })
  queue.close()
  // Nothing is old enough as a whole file, so that all is read, which takes time.
  const expiring = log.expire('otlp traces', until)
  const back = log.queue('otlp traces')
  expect(await expiring).toMatchObject({ records: 0 })
  expect((await allOf(back)).map(namesIn)).toEqual([['a'], ['b'], ['c']])
  expect(balance(back)).toBe(0)
  await log.close()
})

test('files of which all is given up are given back', async () => {
  const clock = new SimulatedClock()
  const disk = new SimulatedDisk()
  const log = await openLog(disk, { clock })
  const queue = log.queue('old traces')
  for (let i = 0; i < 20; i++) await queue.append(big(`${i}`))
  queue.close()
  const { used } = log
  expect(await log.expire('old traces', log.time.now())).toMatchObject({ records: 20 })
  clock.pass(1000)
  await settled()
  expect(log.used).toBeLessThan(used / 2)
  await log.close()
})
