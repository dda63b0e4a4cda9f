import { expect, test } from 'vitest'
import { StorageError, type Stored } from '../../../core/storage.ts'
import type { Log } from '../../../extensions/file_storage/log.ts'
import { spans } from '../../support/batches.ts'
import { allOf, namesIn, openLog, settled } from './opening.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { diskError, SimulatedDisk } from './simulated-disk.ts'

const big = (name: string) => spans([name + 'x'.repeat(20_000)])

/** Why an append was refused. */
const refusal = (append: Promise<unknown>): Promise<StorageError> =>
  append.then(
    () => {
      throw new Error('it was taken')
    },
    (error: unknown) => {
      if (error instanceof StorageError) return error
      throw error
    },
  )

async function found(disk: SimulatedDisk): Promise<(string[] | undefined)[]> {
  const all = await allOf((await openLog(new SimulatedDisk(disk.image))).queue('q'))
  return all.map(record => namesIn(record)?.map(name => name.replace(/x+$/, '')))
}

interface Watched {
  readonly log: Log
  readonly troubles: (string | undefined)[]
}

async function openWatched(disk: SimulatedDisk, clock: SimulatedClock, maxSize = 1 << 24): Promise<Watched> {
  const troubles: Watched['troubles'] = []
  const log = await openLog(disk, { clock, maxSize, onTrouble: trouble => troubles.push(trouble?.kind) })
  return { log, troubles }
}

test.each(['write', 'sync', 'truncate', 'syncDirectory'])(
  'a %s that fails refuses what waits, and a new segment is tried until one works',
  async what => {
    const disk = new SimulatedDisk()
    const clock = new SimulatedClock()
    const { log, troubles } = await openWatched(disk, clock)
    const queue = log.queue('q')
    const isAtBegin = what === 'truncate' || what === 'syncDirectory'
    if (!isAtBegin) await queue.append(spans(['before']))
    let rooms = 0
    log.onRoom(() => rooms++)
    disk.fault = kind => {
      if (kind === what) throw diskError('EIO', what)
    }
    const flying = queue.append(spans(['flying']))
    const refused = await refusal(flying)
    expect(refused).toMatchObject({ kind: 'sick', maybeStored: !isAtBegin })
    expect(refused.message).toContain('EIO')
    expect(log.trouble?.kind).toBe('sick')
    expect(log.room).toBe(0)
    const late = await refusal(queue.append(spans(['late'])))
    expect(late).toMatchObject({ kind: 'sick', maybeStored: false })
    // The backlog can be read all the same.
    if (!isAtBegin) expect(namesIn(await queue.next(undefined))).toEqual(['before'])

    clock.pass(1_000)
    await settled()
    expect(log.trouble?.kind).toBe('sick')
    disk.fault = undefined
    clock.pass(1_900)
    await settled()
    expect(log.trouble?.kind, 'the wait doubles').toBe('sick')
    clock.pass(100)
    await settled()
    expect(log.trouble).toBeUndefined()
    expect(rooms).toBeGreaterThan(0)
    expect(troubles).toEqual(['sick', 'sick', undefined])
    await queue.append(spans(['after']))
    await log.close()
    expect(await found(disk)).toEqual(isAtBegin ? [['after']] : [['before'], ['after']])
  },
)

test('a sync that hangs makes sick and refuses; nothing else is begun until it returns', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const { log, troubles } = await openWatched(disk, clock)
  const queue = log.queue('q')
  await queue.append(spans(['before']))
  const { promise, resolve } = Promise.withResolvers<void>()
  disk.fault = what => (what === 'sync' ? promise : undefined)
  const flying = refusal(queue.append(spans(['flying'])))
  await settled()
  const waiting = refusal(queue.append(spans(['waiting'])))
  clock.pass(9_999)
  expect(log.trouble).toBeUndefined()
  clock.pass(1)
  expect(await flying).toMatchObject({ kind: 'sick', maybeStored: true })
  expect(await waiting).toMatchObject({ kind: 'sick', maybeStored: false })
  expect(namesIn(await queue.next(undefined))).toEqual(['before'])
  const begun = disk.operations.length
  clock.pass(120_000)
  await settled()
  expect(disk.operations.length).toBe(begun)
  disk.fault = undefined
  resolve()
  await settled()
  expect(log.trouble).toBeUndefined()
  expect(troubles.at(-1)).toBeUndefined()
  await queue.append(spans(['after']))
  await log.close()
  // What was refused was sealed off: it does not come up again.
  expect(await found(disk)).toEqual([['before'], ['after']])
})

test('a log whose disk hangs can be closed', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const { log } = await openWatched(disk, clock)
  const queue = log.queue('q')
  disk.fault = what => (what === 'sync' ? new Promise<void>(() => {}) : undefined)
  const flying = refusal(queue.append(spans(['flying'])))
  await settled()
  const closed = log.close()
  clock.pass(10_000)
  await closed
  expect((await flying).maybeStored).toBe(true)
  expect(await refusal(queue.append(spans(['late'])))).toMatchObject({ kind: 'closed' })
})

test('at `max_size` appends are refused as full, and taken again when segments are given back', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const { log, troubles } = await openWatched(disk, clock, 4 * 64 * 1024)
  const queue = log.queue('q')
  const places: Stored[] = []
  const fill = async () => {
    for (;;) places.push(await queue.append(big('a')))
  }
  const refused = await refusal(fill())
  expect(places.length).toBeGreaterThanOrEqual(8)
  expect(refused).toMatchObject({ kind: 'full', maybeStored: false })
  expect(refused.message).toContain('`max_size`')
  expect(log.used).toBeLessThanOrEqual(4 * 64 * 1024)
  clock.pass(60_000)
  await settled()
  expect(log.trouble?.kind).toBe('full')
  for (const place of places) queue.end(place, 1, 'delivered')
  clock.pass(300)
  await settled()
  expect(log.trouble).toBeUndefined()
  expect(troubles.at(-1)).toBeUndefined()
  expect(log.room).toBeGreaterThan(100_000)
  await queue.append(big('again'))
  await log.close()
  expect(await found(disk)).toEqual([['again']])
})

test('at `max_size` what ends one after the other makes room with the first segment that is empty', async () => {
  const clock = new SimulatedClock()
  const { log } = await openWatched(new SimulatedDisk(), clock, 4 * 64 * 1024)
  const queue = log.queue('q')
  const places: Stored[] = []
  await refusal(
    (async () => {
      for (;;) places.push(await queue.append(big('a')))
    })(),
  )
  // Less than a segment, and an ending each time before the disk is looked at again.
  let ended = 0
  for (; log.trouble !== undefined && ended < places.length; ended++) {
    queue.end(places[ended], 1, 'delivered')
    clock.pass(250)
    await settled()
  }
  expect(ended).toBeLessThan(places.length / 2)
  await queue.append(big('again'))
})

test('a full disk refuses as full, gives its partial file back, and is tried again', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const { log } = await openWatched(disk, clock)
  const queue = log.queue('q')
  for (let i = 0; i < 4; i++) await queue.append(big(`${i}`))
  disk.freeBytes = 10_000
  expect(await refusal(queue.append(big('no')))).toMatchObject({ kind: 'full', maybeStored: false })
  disk.freeBytes = 1 << 30
  disk.fault = what => {
    if (what === 'truncate') throw diskError('ENOSPC', what)
  }
  const files = disk.image.size
  clock.pass(1_000)
  await settled()
  expect(await refusal(queue.append(big('no')))).toMatchObject({ kind: 'full' })
  expect(disk.image.size).toBe(files)
  disk.fault = undefined
  clock.pass(2_000)
  await settled()
  await queue.append(big('5'))
  await log.close()
  expect(await found(disk)).toEqual([['0'], ['1'], ['2'], ['3'], ['5']])
})

test('on a full disk a segment of which nothing is needed makes room', async () => {
  const disk = new SimulatedDisk()
  const clock = new SimulatedClock()
  const { log } = await openWatched(disk, clock)
  const queue = log.queue('q')
  const places = []
  for (let i = 0; i < 6; i++) places.push(await queue.append(big(`${i}`)))
  disk.freeBytes = 0
  for (const place of places) queue.end(place, 1, 'delivered')
  clock.pass(300)
  await settled()
  for (let i = 6; i < 9; i++) await queue.append(big(`${i}`))
  await log.close()
  expect(await found(disk)).toEqual([['6'], ['7'], ['8']])
})

test('a batch that can never find room is refused without trouble for others', async () => {
  const { log } = await openWatched(new SimulatedDisk(), new SimulatedClock(), 4 * 64 * 1024)
  const queue = log.queue('q')
  const refused = await refusal(queue.append(spans(['x'.repeat(300_000)])))
  expect(refused.message).toContain('has no room under the `max_size`')
  expect(log.trouble).toBeUndefined()
  await queue.append(spans(['a']))
})

test('a file that cannot be read is told to the reader, and read once it can', async () => {
  const disk = new SimulatedDisk()
  const log = await openLog(disk)
  const queue = log.queue('q')
  await queue.append(big('a'))
  disk.fault = what => {
    if (what === 'read') throw diskError('EIO', what)
  }
  await expect(queue.next(undefined)).rejects.toThrow('cannot be read: EIO')
  disk.fault = undefined
  expect(namesIn(await queue.next(undefined))?.[0]).toMatch(/^ax/)
})
