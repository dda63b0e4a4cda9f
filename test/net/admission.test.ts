import { setImmediate as nextTurn } from 'node:timers/promises'
import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { Admission, type AdmissionLimits, readAhead, requestCost } from '../../net/admission.ts'
import type { Refusal } from '../../net/refusal.ts'
import { Intake } from '../../net/intake.ts'
import type { ConnectionShare } from '../../net/occupancy.ts'
import { until } from '../support/until.ts'

const mebibyte = 2 ** 20

function door(budgetSize = 64 * mebibyte, limits: Partial<AdmissionLimits> = {}) {
  const budget = new Budget(budgetSize)
  const admission = new Admission(budget, { maxBody: 8 * mebibyte, ...limits })
  const share = connection(admission)
  const refused: Refusal[] = []
  const intake = (timeout?: number, from = share) =>
    new Intake(admission, from, { refused: refusal => refused.push(refusal), gone: () => {} }, timeout)
  return { budget, admission, share, refused, intake }
}

function connection(admission: Admission, address = '192.0.2.1'): ConnectionShare {
  const share = admission.enter(address)
  if (share === undefined) throw new Error('no place')
  return share
}

const settled = (intake: Intake, body: Buffer, encoding: 'gzip' | 'deflate' | 'zstd' | 'snappy') =>
  new Promise<Buffer | Refusal>(resolve => intake.inflate(encoding, body, resolve))

/** Lets time pass. Where one turn has no time left for looking at the clock, the next one has. */
async function advance(time: number): Promise<void> {
  vi.advanceTimersByTime(time)
  await nextTurn()
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] }))
afterEach(() => void vi.useRealTimers())

test('a body in any pieces comes out whole, alone in its memory, charged as what it is, and all is given back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 50_000 }), { maxLength: 12 }),
      fc.boolean(),
      fc.constantFrom('take', 'end'),
      (pieces, known, how) => {
        const { budget, share, intake } = door()
        const whole = Buffer.concat(pieces)
        const one = intake()
        expect(one.begin([])).toBeUndefined()
        if (known) expect(one.expect(whole.length)).toBeUndefined()
        for (const piece of pieces) {
          expect(one.add(piece, 0)).toBeUndefined()
          expect(budget.used).toBeGreaterThanOrEqual(one.received)
        }
        const body = one.finish() as Buffer
        expect(body.equals(whole)).toBe(true)
        const memory = body.buffer.byteLength
        expect(memory).toBeLessThanOrEqual(whole.length < 32_768 ? whole.length : whole.length * 1.125)
        expect([budget.used, share.held]).toEqual([memory + requestCost, memory + requestCost])
        if (how === 'take') budget.release(one.take())
        one.close()
        one.close()
        expect([budget.used, share.held]).toEqual([0, 0])
      },
    ),
    { numRuns: 60 },
  )
})

test('nothing is charged for what is announced; what is made runs ahead of what has arrived by sixteen times at most', () => {
  const { budget, intake } = door()
  const one = intake()
  one.begin([])
  one.expect(8 * mebibyte)
  expect(budget.used).toBe(requestCost)
  one.add(Buffer.alloc(1), 0)
  expect(budget.used).toBe(requestCost + 16_384)
  one.add(Buffer.alloc(readAhead), 0)
  expect(budget.used).toBeLessThan(requestCost + 16 * (readAhead + 1) * 1.125)
  one.close()
  expect(budget.used).toBe(0)
})

test('what a request costs is held until its answer has been taken, with the headers that are kept and a large answer', () => {
  const { budget, share, intake } = door()
  const one = intake()
  one.begin(['x'.repeat(1000), 'y'.repeat(2000)])
  one.add(Buffer.alloc(100), 0)
  one.finish()
  budget.release(one.take())
  one.answered(5000)
  expect([budget.used, share.held, share.unread]).toEqual([requestCost + 8000, requestCost + 8000, 1])
  one.close()
  expect([budget.used, share.held, share.unread, share.requests]).toEqual([0, 0, 0, 0])
})

test.each([
  ['over the limit is refused for good', 64 * mebibyte, 8 * mebibyte + 1, 'too_large'],
  ['that no connection may ever hold is refused for good', 16 * mebibyte, 5 * mebibyte, 'too_large'],
  ['that fits is taken', 64 * mebibyte, 8 * mebibyte, undefined],
])('a size %s', (_what, budget, size, kind) => {
  const one = door(budget).intake()
  one.begin([])
  expect(one.expect(size)?.kind).toBe(kind)
})

test('a body that does not say how large it is stops at the limit', () => {
  const { budget, intake } = door()
  const one = intake()
  one.begin([])
  for (let i = 0; i < 8; i++) expect(one.add(Buffer.alloc(mebibyte), 0)).toBeUndefined()
  expect(one.add(Buffer.alloc(1), 0)?.kind).toBe('too_large')
  one.close()
  expect(budget.used).toBe(0)
})

test.each([
  ['more', 11],
  ['less', 9],
])('%s than announced is malformed', (_what, size) => {
  const one = door().intake()
  one.begin([])
  one.expect(10)
  expect((one.add(Buffer.alloc(size), 0) ?? (one.finish() as Refusal)).kind).toBe('malformed')
})

test('one connection cannot hold more than a quarter, and another one still gets in', () => {
  const { budget, admission, intake } = door(16 * mebibyte)
  const mine = Array.from({ length: 10 }, () => intake())
  const refusals = mine.map(one => one.begin([]) ?? one.expect(mebibyte) ?? one.add(Buffer.alloc(mebibyte - 1), 0))
  expect(refusals.filter(refusal => refusal === undefined)).toHaveLength(3)
  expect(refusals.find(refusal => refusal !== undefined)?.kind).toBe('memory')
  expect(budget.used).toBeLessThanOrEqual(4 * mebibyte)
  const other = intake(undefined, connection(admission))
  expect(other.begin([]) ?? other.expect(mebibyte)).toBeUndefined()
})

test('without room in the budget, or while memory is pressed, nothing is begun', () => {
  const { budget, intake } = door()
  budget.charge(budget.limit)
  expect(intake().begin([])?.kind).toBe('memory')
  budget.release(budget.limit)
  budget.pressed = true
  expect(intake().begin([])?.kind).toBe('memory')
})

test.each([
  ['that stalls is refused after the grace', 11_000, 10, 'slow'],
  ['that comes at the least rate goes on', 11_000, 40_000, undefined],
  ['is refused when its time is over, however fast it is', 121_000, 4 * mebibyte, 'slow'],
])('a body %s', async (_what, time, bytes, kind) => {
  const { refused, intake } = door()
  const one = intake()
  one.begin([])
  one.add(Buffer.alloc(bytes), 0)
  await advance(time)
  expect(refused[0]?.kind).toBe(kind)
})

test('what a clock finds to be over, be it much, is ended in pieces: others have their turns between', async () => {
  const { budget, admission, intake, refused } = door(512 * mebibyte)
  for (let n = 0; n < 500; n++) intake(1000, connection(admission)).begin([])
  const seen: number[] = []
  budget.turns.start({ next: () => ({ done: seen.push(refused.length) > 500, value: undefined }) })
  await advance(2000)
  while (refused.length < 500) await nextTurn()
  // Never more than one piece between two looks.
  const steps = seen.map((count, i) => count - (seen[i - 1] ?? 0))
  expect(Math.max(...steps)).toBeLessThanOrEqual(64)
})

test("the sender's deadline is told once, also after the body has been read", async () => {
  const { admission, refused, intake } = door()
  const one = intake(3000)
  one.begin([])
  one.finish()
  await advance(2000)
  expect(refused).toEqual([])
  await advance(3000)
  expect(refused.map(refusal => refusal.kind)).toEqual(['cancelled'])
  one.close()
  expect(admission.open).toBe(0)
})

test('inflated bodies are charged as what they became', async () => {
  const { budget, share, intake } = door()
  const body = gzipSync(Buffer.alloc(300_000, 'abc'))
  const one = intake()
  one.begin([])
  one.add(body, 0)
  const result = await settled(one, one.finish() as Buffer, 'gzip')
  expect(result).toHaveLength(300_000)
  expect([budget.used, share.held]).toEqual([300_000 + requestCost, 300_000 + requestCost])
  one.close()
  expect([budget.used, share.held]).toEqual([0, 0])
})

test.each([
  [
    'of several members is read whole',
    Buffer.concat([gzipSync(Buffer.alloc(5 * mebibyte)), gzipSync('x')]),
    5 * mebibyte + 1,
  ],
  ['cut in the middle is malformed, whatever stands there', cutGzip(), 'malformed'],
  ['whose size at the end is a lie is malformed', lying(gzipSync(Buffer.alloc(3 * mebibyte)), 5), 'malformed'],
  ['beyond the limit is too large', gzipSync(Buffer.alloc(9 * mebibyte)), 'too_large'],
  [
    'beyond the limit with a small size at its end is too large',
    lying(gzipSync(Buffer.alloc(9 * mebibyte)), 5),
    'too_large',
  ],
  [
    'of several members beyond the limit is too large',
    Buffer.concat([gzipSync(Buffer.alloc(9 * mebibyte)), gzipSync('x')]),
    'too_large',
  ],
  ['that is none is malformed', Buffer.alloc(40, 1), 'malformed'],
])('gzip %s', async (_what, body, expected) => {
  const { budget, intake } = door(256 * mebibyte)
  const one = intake()
  one.begin([])
  one.add(body, 0)
  const result = await settled(one, one.finish() as Buffer, 'gzip')
  if (typeof expected === 'number') expect(result).toHaveLength(expected)
  else expect((result as Refusal).kind).toBe(expected)
  expect(budget.peak).toBeLessThan(9 * mebibyte)
  one.close()
  expect(budget.used).toBe(0)
})

/** Cut where the bytes say more than the limit, in reach of what the body could be. */
function cutGzip(): Buffer {
  const packed = gzipSync(randomBytes(300_000))
  packed.writeUInt32LE(20 * mebibyte, 150_000 - 4)
  return packed.subarray(0, 150_000)
}

function lying(packed: Buffer, size: number): Buffer {
  packed.writeUInt32LE(size, packed.length - 4)
  return packed
}

test('a request given up while it is inflated gives its charge back when that has ended, and nobody is called', async () => {
  const { budget, intake } = door()
  const one = intake()
  one.begin([])
  one.add(gzipSync(Buffer.alloc(2 * mebibyte)), 0)
  let called = false
  one.inflate('gzip', one.finish() as Buffer, () => (called = true))
  one.close()
  expect(budget.used).toBeGreaterThan(2 * mebibyte)
  await until(() => expect(budget.used).toBe(0))
  expect(called).toBe(false)
})
