import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { Admission, type AdmissionLimits, Intake, readAhead, type Refusal, requestCost } from '../../net/admission.ts'

const mebibyte = 2 ** 20

function door(budgetSize = 64 * mebibyte, limits: Partial<AdmissionLimits> = {}) {
  const budget = new Budget(budgetSize)
  const admission = new Admission(budget, { maxBody: 8 * mebibyte, ...limits })
  const share = { held: 0 }
  const refused: Refusal[] = []
  const intake = (timeout?: number, from = share) =>
    new Intake(admission, from, { refused: refusal => refused.push(refusal) }, timeout)
  return { budget, admission, share, refused, intake }
}

const settled = (intake: Intake, body: Buffer, encoding: 'gzip' | 'deflate' | 'zstd' | 'snappy') =>
  new Promise<Buffer | Refusal>(resolve => intake.inflate(encoding, body, resolve))

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
        expect(one.begin()).toBeUndefined()
        if (known) expect(one.expect(whole.length)).toBeUndefined()
        for (const piece of pieces) {
          expect(one.add(piece, 0)).toBeUndefined()
          expect(budget.used).toBeGreaterThanOrEqual(one.received)
        }
        const body = one.finish() as Buffer
        expect(body.equals(whole)).toBe(true)
        const memory = body.buffer.byteLength
        expect(memory).toBeLessThanOrEqual(whole.length < 32_768 ? whole.length : whole.length * 1.125)
        expect([budget.used, share.held]).toEqual([memory, memory])
        if (how === 'take') budget.release(one.take())
        one.end()
        one.end()
        expect([budget.used, share.held]).toEqual([0, 0])
      },
    ),
    { numRuns: 60 },
  )
})

test('the charge runs ahead of what has arrived by one read, whatever was announced', () => {
  const { budget, intake } = door()
  const one = intake()
  one.begin()
  expect(budget.used).toBe(requestCost)
  one.expect(8 * mebibyte)
  expect(budget.used).toBe(requestCost + readAhead)
  one.add(Buffer.alloc(1), 0)
  expect(budget.used).toBeLessThanOrEqual(requestCost + readAhead + 1)
  one.add(Buffer.alloc(mebibyte), 0)
  expect(budget.used).toBe(requestCost + readAhead + mebibyte + 1)
  one.end()
  expect(budget.used).toBe(0)
})

test.each([
  ['over the limit is refused for good', 64 * mebibyte, 8 * mebibyte + 1, 'too_large'],
  ['that no connection may ever hold is refused for good', 16 * mebibyte, 5 * mebibyte, 'too_large'],
  ['that fits is taken', 64 * mebibyte, 8 * mebibyte, undefined],
])('a size %s', (_what, budget, size, kind) => {
  const one = door(budget).intake()
  one.begin()
  expect(one.expect(size)?.kind).toBe(kind)
})

test('a body that does not say how large it is stops at the limit', () => {
  const { budget, intake } = door()
  const one = intake()
  one.begin()
  for (let i = 0; i < 8; i++) expect(one.add(Buffer.alloc(mebibyte), 0)).toBeUndefined()
  expect(one.add(Buffer.alloc(1), 0)?.kind).toBe('too_large')
  one.end()
  expect(budget.used).toBe(0)
})

test.each([
  ['more', 11],
  ['less', 9],
])('%s than announced is malformed', (_what, size) => {
  const one = door().intake()
  one.begin()
  one.expect(10)
  expect((one.add(Buffer.alloc(size), 0) ?? (one.finish() as Refusal)).kind).toBe('malformed')
})

test('one connection cannot hold more than a quarter, and another one still gets in', () => {
  const { budget, intake } = door(16 * mebibyte)
  const mine = Array.from({ length: 10 }, () => intake())
  const refusals = mine.map(one => one.begin() ?? one.expect(mebibyte) ?? one.add(Buffer.alloc(mebibyte - 1), 0))
  expect(refusals.filter(refusal => refusal === undefined)).toHaveLength(3)
  expect(refusals.find(refusal => refusal !== undefined)?.kind).toBe('memory')
  expect(budget.used).toBeLessThanOrEqual(4 * mebibyte)
  const other = intake(undefined, { held: 0 })
  expect(other.begin() ?? other.expect(mebibyte)).toBeUndefined()
})

test('without room in the budget, or while memory is pressed, nothing is begun', () => {
  const { budget, intake } = door()
  budget.charge(budget.limit)
  expect(intake().begin()?.kind).toBe('memory')
  budget.release(budget.limit)
  budget.pressed = true
  expect(intake().begin()?.kind).toBe('memory')
})

test.each([
  ['that stalls is refused after the grace', 11_000, 10, 'slow'],
  ['that comes at the least rate goes on', 11_000, 40_000, undefined],
  ['is refused when its time is over, however fast it is', 121_000, 4 * mebibyte, 'slow'],
])('a body %s', (_what, time, bytes, kind) => {
  const { refused, intake } = door()
  const one = intake()
  one.begin()
  one.add(Buffer.alloc(bytes), 0)
  vi.advanceTimersByTime(time)
  expect(refused[0]?.kind).toBe(kind)
})

test("the sender's deadline is told once, also after the body has been read", () => {
  const { admission, refused, intake } = door()
  const one = intake(3000)
  one.begin()
  one.finish()
  vi.advanceTimersByTime(2000)
  expect(refused).toEqual([])
  vi.advanceTimersByTime(3000)
  expect(refused.map(refusal => refusal.kind)).toEqual(['cancelled'])
  one.end()
  expect(admission.open).toBe(0)
})

test('a body that was read is watched no more when its sender set no deadline', () => {
  const { admission, intake } = door()
  const one = intake()
  one.begin()
  expect(admission.open).toBe(1)
  one.finish()
  expect(admission.open).toBe(0)
})

test('inflated bodies are charged as what they became', async () => {
  const { budget, share, intake } = door()
  const body = gzipSync(Buffer.alloc(300_000, 'abc'))
  const one = intake()
  one.begin()
  one.add(body, 0)
  const result = await settled(one, one.finish() as Buffer, 'gzip')
  expect(result).toHaveLength(300_000)
  expect([budget.used, share.held]).toEqual([300_000, 300_000])
  one.end()
  expect([budget.used, share.held]).toEqual([0, 0])
})

test.each([
  [
    'of several members is read whole',
    Buffer.concat([gzipSync(Buffer.alloc(5 * mebibyte)), gzipSync('x')]),
    5 * mebibyte + 1,
  ],
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
  one.begin()
  one.add(body, 0)
  const result = await settled(one, one.finish() as Buffer, 'gzip')
  if (typeof expected === 'number') expect(result).toHaveLength(expected)
  else expect((result as Refusal).kind).toBe(expected)
  expect(budget.peak).toBeLessThan(9 * mebibyte)
  one.end()
  expect(budget.used).toBe(0)
})

function lying(packed: Buffer, size: number): Buffer {
  packed.writeUInt32LE(size, packed.length - 4)
  return packed
}

test('a request given up while it is inflated gives its charge back when that has ended, and nobody is called', async () => {
  const { budget, intake } = door()
  const one = intake()
  one.begin()
  one.add(gzipSync(Buffer.alloc(2 * mebibyte)), 0)
  let called = false
  one.inflate('gzip', one.finish() as Buffer, () => (called = true))
  one.end()
  expect(budget.used).toBeGreaterThan(2 * mebibyte)
  await vi.waitFor(() => expect(budget.used).toBe(0))
  expect(called).toBe(false)
})
