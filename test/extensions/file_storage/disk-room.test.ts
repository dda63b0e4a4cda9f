/** How much room is told of a disk that is smaller than `max_size`. */
import { expect, test } from 'vitest'
import { DiskRoom } from '../../../extensions/file_storage/disk-room.ts'
import { spans } from '../../support/batches.ts'
import { openLog } from './opening.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { SimulatedDisk } from './simulated-disk.ts'

test('the room that is told is the least of both: what `max_size` leaves, and whole segments that the disk has room for', async () => {
  const disk = new SimulatedDisk()
  const log = await openLog(disk, { maxSize: 1 << 24, segmentSize: 1 << 20 })
  expect(log.roomOnDisk).toBe(log.room)
  disk.freeBytes = 5 * (1 << 20) + 17
  await log.lookAtDisk()
  expect(log.roomOnDisk).toBe(5 << 20)
  disk.freeBytes = 1000
  await log.lookAtDisk()
  expect(log.roomOnDisk).toBe(0)
  // What senders are refused for goes by `max_size`, and by what the disk says when it is written to.
  expect(log.room).toBe(1 << 24)
  disk.freeBytes = 1 << 30
  await log.queue('q').append(spans(['a']))
  await log.lookAtDisk()
  expect(log.roomOnDisk).toBe(log.room)
  await log.close()
})

test('a disk is asked again when what it said is old, one question at a time, and what it does not say stays', async () => {
  const clock = new SimulatedClock()
  const answers: ((free: number) => void)[] = []
  let isBroken = false
  const free = () =>
    isBroken ? Promise.reject(new Error('EIO')) : new Promise<number>(resolve => answers.push(resolve))
  const room = new DiskRoom({ free }, '/a', clock)
  expect([room.free, room.free, answers.length]).toEqual([Infinity, Infinity, 1])
  answers[0]?.(7)
  await room.look()
  expect([room.free, answers.length]).toEqual([7, 1])
  isBroken = true
  await room.look()
  expect(room.free).toBe(7)
})
