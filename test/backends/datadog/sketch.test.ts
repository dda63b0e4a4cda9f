import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { keyOf, Sketch, valueOf } from '../../../backends/datadog/sketch.ts'

const bins = ({ keys, counts }: Sketch): string => keys.map((key, i) => `${key}:${counts[i]}`).join(' ')

function spread(lower: number, upper: number, count: number): Sketch {
  const sketch = new Sketch()
  sketch.spread(lower, upper, count)
  sketch.finish()
  return sketch
}

// What the Agent's own sketch makes of the same, as its published tests say.
test.each([
  [0, 10, 2, '0:1 1442:1'],
  [10, 20, 4, '1487:1 1502:1 1514:1 1524:1'],
  [-10, 10, 4, '-1487:1 -1442:1 -1067:1 1442:1'],
])('%d to %d, %d values: the bins are those of the Agent', (lower, upper, count, expected) => {
  expect(bins(spread(lower, upper, count))).toBe(expected)
})

test.each([
  [0, 10, 100, '0:1 1190:1 1235:1', '1484:1 1485:2 1486:1'],
  [1e3, 1e5, 1e6 - 1, '1784:158 1785:162 1786:164', '2078:15167 2079:15403 2080:8942'],
  [1e3, 1e4, 1e7 - 1, '1784:17485 1785:17758', '1931:39724 1931:65535 1931:65535 1932:17411'],
])('%d to %d, %d values: the first and last bins are those of the Agent', (lower, upper, count, first, last) => {
  const text = bins(spread(lower, upper, count))
  expect(text.slice(0, first.length)).toBe(first)
  expect(text.slice(-last.length)).toBe(last)
})

test('a count that does not fit in 16 bits has several bins, the smaller first', () => {
  expect(bins(spread(1e3, 1e4, 1e7 - 1))).toContain(' 1869:65314 1870:799 1870:65535 1871:1835 1871:65535 ')
})

test.each([
  ['zero', 0, 0],
  ['what is too small to be told from it', 9e-10, 0],
  ['the smallest', valueOf(1), 1],
  ['one', 1, 1338],
  ['minus one', -1, -1338],
  ['ten', 10, 1487],
  ['what is too large for any key', 1e300, 32767],
  ['infinity', Infinity, 32767],
])('%s falls into its bin', (_, value, key) => {
  expect(keyOf(value)).toBe(key)
})

test('every value lies within one percent of what stands for its bin', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-8, max: 1e200, noNaN: true }), value => {
      expect(Math.abs(valueOf(keyOf(value)) - value) / value).toBeLessThan(0.01)
    }),
  )
})

test('the value of each key has that key', () => {
  for (let key = -32766; key < 32767; key += 7) expect(keyOf(valueOf(key))).toBe(key)
})

/** The value below which a share of all lies, as the bins say. */
function quantile({ keys, counts, count }: Sketch, q: number): number {
  let left = q * (count - 1)
  for (let i = 0; i < keys.length; i++) {
    left -= counts[i]
    if (left < 0) return valueOf(keys[i])
  }
  return NaN
}

test('quantiles of values are within one percent of the exact ones', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 1e-3, max: 1e9, noNaN: true }), { minLength: 1 }), values => {
      const sketch = new Sketch()
      for (const value of values) sketch.add(value, 1)
      sketch.finish()
      const sorted = values.toSorted((a, b) => a - b)
      for (const q of [0, 0.25, 0.5, 0.9, 0.99, 1]) {
        const exact = sorted[Math.floor(q * (values.length - 1))]
        expect(Math.abs(quantile(sketch, q) - exact) / exact).toBeLessThan(0.01)
      }
    }),
  )
})

test('buckets of an exponential histogram keep their count, and their quantiles to within a bucket', () => {
  const bucket = fc.record({ index: fc.integer({ min: -200, max: 200 }), count: fc.integer({ min: 1, max: 1e6 }) })
  fc.assert(
    fc.property(fc.array(bucket, { minLength: 1, maxLength: 40 }), fc.constantFrom<1 | -1>(1, -1), (buckets, sign) => {
      const sketch = new Sketch()
      const base = 2 ** (2 ** -3)
      for (const { index, count } of buckets) sketch.split(base ** index, base ** (index + 1), count, sign)
      sketch.finish()
      const total = buckets.reduce((sum, { count }) => sum + count, 0)
      expect(sketch.count).toBe(total)
      expect(sketch.counts.reduce((sum, count) => sum + count, 0)).toBe(total)
      const exact: number[] = buckets
        .toSorted((a, b) => sign * (a.index - b.index))
        .map(({ index }) => sign * base ** index)
      expect(Math.abs(quantile(sketch, 0) / exact[0])).toBeGreaterThan(0.97)
      expect(Math.abs(quantile(sketch, 0) / exact[0])).toBeLessThan(base * 1.03)
    }),
  )
})

test('a bucket beyond all bounds ends in the last bin, and one below all in that of 0', () => {
  const sketch = new Sketch()
  sketch.split(2 ** 900, Infinity, 3, 1)
  sketch.split(0, 1e-300, 2, 1)
  sketch.finish()
  expect(bins(sketch)).toBe('0:2 32767:3')
})

test('more bins than may be: the lowest are put together, and no count is lost', () => {
  const sketch = new Sketch()
  for (let key = 1; key <= 5000; key++) sketch.add(valueOf(key), 20)
  sketch.finish()
  expect(sketch.keys).toHaveLength(4096)
  expect(sketch.keys[0]).toBe(905)
  expect(sketch.counts[0]).toBe(905 * 20)
  expect(sketch.counts.reduce((sum, count) => sum + count, 0)).toBe(100_000)
})
