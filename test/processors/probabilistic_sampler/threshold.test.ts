import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  always,
  below,
  never,
  parseRandomness,
  parseThreshold,
  probabilityOf,
  Randomness,
  seedHash,
  thresholdOf,
  thresholdText,
} from '../../../processors/probabilistic_sampler/threshold.ts'

// The examples of the OpenTelemetry specification, "TraceState: Probability Sampling".
test.each([
  [1, 4, '0'],
  [0.5, 4, '8'],
  [0.25, 4, 'c'],
  [0.1, 4, 'e666'],
  [0.01, 4, 'fd70a'],
  [1 / 3, 4, 'aaab'],
  [1 / 3, 14, 'aaaaaaaaaaaaac'],
  [2 ** -56, 14, 'ffffffffffffff'],
])('probability %d with %d digits is threshold %s', (probability, precision, expected) => {
  const threshold = thresholdOf(probability, precision)
  expect(threshold && thresholdText(threshold)).toBe(expected)
})

test.each([0, -0.5, 1.1, 2 ** -57, Number.NaN])('%d is no probability', probability => {
  expect(thresholdOf(probability, 4)).toBeUndefined()
})

test('what nothing reaches has no text', () => {
  expect([thresholdText(never), thresholdText(always)]).toEqual(['', '0'])
})

test('a threshold is read as it was written, and stands for its probability', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1e-12, max: 1, noNaN: true }),
      fc.integer({ min: 4, max: 14 }),
      (probability, digits) => {
        const threshold = thresholdOf(probability, digits)
        expect(threshold).toBeDefined()
        if (threshold === undefined) return
        expect(parseThreshold(thresholdText(threshold))).toEqual(threshold)
        expect(Math.abs(probabilityOf(threshold) / probability - 1)).toBeLessThan(0.001)
      },
    ),
  )
})

test.each(['', 'g', '123456789012345', '-1', '0x1'])('`%s` is no threshold', text => {
  expect(parseThreshold(text)).toBeUndefined()
})

test.each(['', 'fffffffffffff', 'fffffffffffffff', 'ffffffffffffzz'])('`%s` is no randomness', text => {
  expect(parseRandomness(text)).toBeUndefined()
})

test('the hash is FNV-1a over the seed and the bytes', () => {
  const hash = (seed: number, bytes: Buffer): bigint => {
    const seeded = Buffer.alloc(4)
    seeded.writeUInt32LE(seed)
    let state = 0x811c9dc5n
    for (const byte of Buffer.concat([seeded, bytes])) state = ((state ^ BigInt(byte)) * 0x01000193n) & 0xffffffffn
    return state
  }
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.uint8Array({ maxLength: 40 }), (seed, array) => {
      const bytes = Buffer.from(array)
      const randomness = new Randomness()
      randomness.setHash(bytes, 0, bytes.length, seedHash(seed))
      const expected = hash(seed, bytes)
      // The low 14 bits of the hash stand at the end, and turned around at the front.
      expect(BigInt(randomness.low & 0x3fff)).toBe(expected & 0x3fffn)
      expect(BigInt(randomness.high >>> 14)).toBe(0x3fffn - (expected & 0x3fffn))
    }),
  )
})

test('of a trace id the last 56 bits count', () => {
  const randomness = new Randomness()
  randomness.setTraceId(Buffer.from('00ffffffffffffffffff123456789abcdef0', 'hex'), 1)
  expect([randomness.high.toString(16), randomness.low.toString(16)]).toEqual(['1234567', '89abcde'])
})

test('numbers of 56 bits are compared as such', () => {
  const half = fc.nat(0xfffffff)
  fc.assert(
    fc.property(half, half, half, half, (a, b, c, d) => {
      expect(below(a, b, c, d)).toBe(BigInt(a) * 2n ** 28n + BigInt(b) < BigInt(c) * 2n ** 28n + BigInt(d))
    }),
  )
})
