import { expect, test } from 'vitest'
import type { Batch } from '../../core/batch.ts'
import { Budget } from '../../core/budget.ts'
import { type Answer, done, type Ended } from '../../core/delivery.ts'
import { DeliveryError } from '../../core/errors.ts'
import { type Room, Rooms } from '../../core/room.ts'
import { MovableClock } from '../support/clock.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'

const origin = { receiver: 'r', transport: 'file', peer: undefined, metadata: undefined, auth: undefined }
const body = tracesRequest([{ spans: names('s', 3) }])
const json = Buffer.from('{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"}]}]}]}')
const busy = new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', 'full')
const gone = new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'gone')
const never = new AbortController().signal
const turn = () => new Promise(resolve => setImmediate(resolve))

function source(limit = 1 << 20) {
  const budget = new Budget(limit)
  const time = new MovableClock()
  const batches: Batch[] = []
  const behaviour = { push: (batch: Batch): void => void batches.push(batch) }
  const rooms = new Rooms(budget, time, batch => behaviour.push(batch))
  const heard: (Answer['kind'] | Ended)[] = []
  const answered = ({ kind }: Answer): void => void heard.push(kind)
  const by = { answered, ended: (end: Ended): void => void heard.push(end) }
  return { budget, time, batches, behaviour, rooms, heard, by, answered }
}

const well: Ended = { again: false, rejected: 0, lost: 0, reason: undefined }

test.each([
  ['protobuf', body],
  ['json', json],
] as const)('%s: what is taken is answered, then ended, and all is given back', async (format, text) => {
  const { rooms, budget, batches, heard, by } = source()
  const room = await rooms.room(1000, never)
  expect(budget.used).toBe(1000)
  room.take({ signal: 'traces', body: Buffer.from(text), format, origin }, by)
  room.free()
  const taken = batches[0].taken()
  await turn()
  expect(heard).toEqual(['success'])
  expect(rooms.unended).toBe(text.length)
  taken.release(done)
  await turn()
  expect(heard).toEqual(['success', well])
  expect([rooms.unended, budget.used]).toEqual([0, 0])
})

test.each([
  ['protobuf', body],
  ['json', json],
] as const)('%s: what is refused is offered again, later and later, and charged meanwhile', async (format, text) => {
  const { rooms, budget, time, behaviour, heard, by } = source()
  const times: number[] = []
  behaviour.push = batch => {
    times.push(time.now())
    if (times.length < 4) batch.refuse(busy)
    else batch.accept()
  }
  const room = await rooms.room(1000, never)
  room.take({ signal: 'traces', body: Buffer.from(text), format, origin }, by)
  room.free()
  await time.advance(400)
  expect([budget.used, heard]).toEqual([text.length, []])
  await time.advance(10_000)
  expect(times).toEqual([0, 500, 1250, 2375])
  expect(heard).toEqual(['success', well])
  expect([rooms.unended, budget.used, time.timers]).toEqual([0, 0, 0])
})

test('who only asks for the answer has its room back with it', async () => {
  const { rooms, batches, heard, answered } = source()
  const room = await rooms.room(1000, never)
  room.take({ signal: 'traces', body: Buffer.from(body), origin }, { answered })
  room.free()
  batches[0].accept()
  await turn()
  expect([heard, rooms.unended]).toEqual([['success'], 0])
})

test('what a disk has is not offered again, whatever its sender hears', async () => {
  const { rooms, time, batches, heard, by } = source()
  const room = await rooms.room(1000, never)
  room.take({ signal: 'traces', body: Buffer.from(body), origin }, by)
  room.free()
  batches[0].secured().refuse(busy)
  await time.advance(60_000)
  expect(batches).toHaveLength(1)
  expect(heard).toEqual(['refused', well])
})

test('malformed bytes are told, and are no reason to stay where one is', async () => {
  const { rooms, budget, heard, by } = source()
  const room = await rooms.room(1000, never)
  room.take({ signal: 'traces', body: Buffer.from([0x0a, 0x7f]), origin }, by)
  room.free()
  await turn()
  expect(heard).toEqual(['malformed', well])
  expect([rooms.unended, budget.used]).toEqual([0, 0])
})

test('a stop ends the waiting, and what was refused stays unread', async () => {
  const { rooms, budget, time, behaviour, heard, by } = source()
  behaviour.push = batch => batch.refuse(busy)
  const room = await rooms.room(1000, never)
  room.take({ signal: 'traces', body: Buffer.from(body), origin }, by)
  room.free()
  await time.advance(100)
  rooms.stop()
  await turn()
  expect(heard).toEqual(['refused', { again: true, error: busy }])
  expect([rooms.unended, budget.used, time.timers]).toEqual([0, 0, 0])
})

test('what nobody waits for any more is told as to be read again', async () => {
  const { rooms, batches, heard, by } = source()
  const room = await rooms.room(1000, never)
  room.take({ signal: 'traces', body: Buffer.from(body), origin }, by)
  room.free()
  rooms.stop()
  rooms.withdraw(gone)
  await turn()
  expect(heard).toEqual(['refused', { again: true, error: gone }])
  batches[0].accept()
  await turn()
  expect(rooms.unended).toBe(0)
})

test('first come, first served; room that comes back is given on', async () => {
  const { rooms, budget } = source(4000)
  const got: string[] = []
  const ask = (name: string, bytes: number): Promise<Room> =>
    rooms.room(bytes, never).then(room => (got.push(name), room))
  const first = await ask('first', 900)
  const second = ask('second', 600)
  const third = ask('third', 50)
  await turn()
  expect(got).toEqual(['first'])
  first.free()
  ;(await second).free()
  ;(await third).free()
  expect(got).toEqual(['first', 'second', 'third'])
  expect([rooms.unended, budget.used]).toEqual([0, 0])
})

test('what has not ended is bounded, but for one that is larger than the bound', async () => {
  const { rooms, batches, by } = source(4000)
  const large = Buffer.concat([body, Buffer.alloc(2000)]).subarray(0, body.length)
  const room = await rooms.room(2000, never)
  room.take({ signal: 'traces', body: Buffer.from(large), origin }, by)
  let isGiven = false
  void rooms.room(1000, never).then(() => (isGiven = true))
  await turn()
  expect(isGiven).toBe(false)
  room.free()
  batches[0].accept()
  await turn()
  expect(isGiven).toBe(true)
})

test('without memory it waits, until somebody gives some back', async () => {
  const { rooms, budget } = source(10_000)
  budget.charge(9500)
  let isGiven = false
  void rooms.room(1000, never).then(() => (isGiven = true))
  await turn()
  expect(isGiven).toBe(false)
  budget.release(9000)
  await turn()
  expect(isGiven).toBe(true)
})

test('memory that comes back without a word is found, and who waits in vain can stop', async () => {
  const { rooms, budget, time } = source(10_000)
  budget.pressed = true
  let isGiven = false
  void rooms.room(1000, never).then(() => (isGiven = true))
  const abort = new AbortController()
  const other = rooms.room(1000, abort.signal)
  abort.abort(new Error('stopping'))
  await expect(other).rejects.toThrow('stopping')
  await time.advance(1000)
  expect(isGiven).toBe(false)
  budget.pressed = false
  await time.advance(1000)
  expect([isGiven, time.timers]).toEqual([true, 0])
})
