/** Compressed bodies that are meant to be dear: refused or read in bounded pieces, and given up with their request. */
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, expect, test, vi } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { Admission } from '../../net/admission.ts'
import type { Refusal } from '../../net/refusal.ts'
import type { Encoding } from '../../net/compression.ts'
import { Inflation } from '../../net/inflation.ts'
import { Intake } from '../../net/intake.ts'
import { until } from '../support/until.ts'

const mebibyte = 2 ** 20
afterEach(() => void vi.restoreAllMocks())

const repeat = (piece: Buffer, size: number) => {
  const times = Math.floor(size / piece.length)
  const whole = Buffer.alloc(times * piece.length)
  for (let i = 0; i < times; i++) whole.set(piece, i * piece.length)
  return whole
}
const streamStart = Buffer.from([0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59])
const emptyFrame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00])
const tinyFrame = zstdCompressSync('x')
const skippedFrame = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])
const manyBlocks = (size: number) =>
  Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]), Buffer.alloc(size), Buffer.from([1, 0, 0])])
/** A literal of one byte per two bytes: the most work per byte of output. */
const slowSnappy = (size: number) => {
  const varint: number[] = []
  for (let n = size; ; n = Math.floor(n / 128)) {
    varint.push(n < 128 ? n : (n % 128) + 128)
    if (n < 128) break
  }
  return Buffer.concat([Buffer.from(varint), repeat(Buffer.from([0, 65]), size * 2)])
}
/** Copies of 64 bytes from one byte before: the most output per byte. */
const bombSnappy = (copies: number) => {
  const size = 1 + copies * 64
  const varint = [(size & 127) | 128, ((size >>> 7) & 127) | 128, ((size >>> 14) & 127) | 128, size >>> 21]
  return Buffer.concat([Buffer.from([...varint, 0, 65]), repeat(Buffer.from([0xfe, 1, 0]), copies * 3)])
}

/** Milliseconds of CPU that this thread needed for its longest turn, until the returned function is called. */
function longestTurn(): () => number {
  let longest = 0
  let last = process.threadCpuUsage()
  const look = (): void => {
    const { user, system } = process.threadCpuUsage(last)
    longest = Math.max(longest, (user + system) / 1000)
    last = process.threadCpuUsage()
  }
  let next = setImmediate(function turn() {
    look()
    next = setImmediate(turn)
  })
  return () => {
    clearImmediate(next)
    look()
    return longest
  }
}

test.each<[string, Encoding, Buffer, number | 'malformed' | 'too_large']>([
  ['700,000 empty frames of zstd', 'zstd', repeat(emptyFrame, 6_300_000), 'malformed'],
  ['7,000 empty frames of zstd', 'zstd', repeat(emptyFrame, 63_000), 0],
  ['7,000 empty frames and a small one', 'zstd', Buffer.concat([repeat(emptyFrame, 63_000), tinyFrame]), 1],
  ['7,000 frames of a byte', 'zstd', repeat(tinyFrame, 65_000), 'malformed'],
  ['200 frames of a byte', 'zstd', repeat(tinyFrame, 200 * tinyFrame.length), 200],
  ['8 million frames to skip', 'zstd', repeat(skippedFrame, 64 * mebibyte), 'malformed'],
  ['a frame of 21 million empty blocks', 'zstd', manyBlocks(63 * mebibyte), 'malformed'],
  ['3 million empty members of gzip', 'gzip', repeat(gzipSync(''), 60 * mebibyte), 0],
  ['a million members of a byte', 'gzip', repeat(gzipSync('x'), 21_000_000), 1_000_000],
  [
    '16 million chunks of padding',
    'x-snappy-framed',
    Buffer.concat([streamStart, repeat(Buffer.from([0xfe, 0, 0, 0]), 63 * mebibyte)]),
    'malformed',
  ],
  [
    '100,000 empty chunks',
    'x-snappy-framed',
    Buffer.concat([streamStart, repeat(Buffer.from([1, 4, 0, 0, 0xd8, 0xea, 0x82, 0xa2]), 800_000)]),
    0,
  ],
  ['snappy of 30 million literals of a byte', 'snappy', slowSnappy(30_000_000), 30_000_000],
  ['snappy that becomes 64 MB by copies', 'snappy', bombSnappy(1_000_000), 64_000_001],
  ['snappy that says 64 MB and has none', 'snappy', Buffer.from([0x80, 0x80, 0x80, 0x20, 0, 65]), 'malformed'],
])('%s', async (_what, encoding, packed, expected) => {
  const budget = new Budget(1024 * mebibyte)
  const admission = new Admission(budget, { maxBody: 64 * mebibyte })
  const share = admission.enter('192.0.2.1')
  if (share === undefined) throw new Error('no place')
  const intake = new Intake(admission, share, { refused: () => {}, gone: () => {} })
  expect(intake.begin([])).toBeUndefined()
  expect(intake.add(packed, 0)).toBeUndefined()
  const body = intake.finish()
  if (!Buffer.isBuffer(body)) throw new Error(body.message)
  const turns = longestTurn()
  const before = process.cpuUsage()
  const result = await new Promise<Buffer | Refusal>(resolve => intake.inflate(encoding, body, resolve))
  const { user, system } = process.cpuUsage(before)
  const longest = turns()
  if (typeof expected === 'number') expect(result).toHaveLength(expected)
  else expect((result as Refusal).kind).toBe(expected)
  expect((user + system) / 1e6).toBeLessThan(5)
  expect(longest).toBeLessThan(50)
  expect(budget.peak).toBeLessThan(64 * 3.5 * mebibyte)
  intake.close()
  admission.leave(share)
  expect(budget.used).toBe(0)
})

test.each<[Encoding, () => Buffer]>([
  ['gzip', () => gzipSync(Buffer.alloc(60 * mebibyte))],
  [
    'zstd',
    () =>
      repeat(zstdCompressSync(Buffer.alloc(mebibyte / 4)), 200 * zstdCompressSync(Buffer.alloc(mebibyte / 4)).length),
  ],
  ['snappy', () => slowSnappy(30_000_000)],
])('%s: what nobody waits for any more is not inflated to its end', async (encoding, make) => {
  let asked = 0
  const inflation = new Inflation(encoding, make(), () => asked++ < 3)
  await expect(inflation.runLater(64 * mebibyte)).rejects.toThrow()
  expect(asked).toBeLessThanOrEqual(5)
})

test('only so many are inflated at once, others wait, and one whose request is over never begins', async () => {
  const budget = new Budget(1024 * mebibyte)
  const admission = new Admission(budget, { maxBody: 64 * mebibyte })
  const share = admission.enter('192.0.2.1')
  if (share === undefined) throw new Error('no place')
  const packed = gzipSync(Buffer.alloc(16 * mebibyte))
  const results: (Buffer | Refusal)[] = []
  const intakes = Array.from({ length: 9 }, () => {
    const intake = new Intake(admission, share, { refused: () => {}, gone: () => {} })
    intake.begin([])
    intake.add(packed, 0)
    intake.inflate('gzip', intake.finish() as Buffer, result => results.push(result))
    return intake
  })
  expect(budget.used).toBeLessThan(4 * 18 * mebibyte)
  for (const intake of intakes.slice(5)) intake.close()
  await until(() => expect(results.length).toBe(5))
  for (const intake of intakes) intake.close()
  await until(() => expect(budget.used).toBe(0))
}, 90_000)
