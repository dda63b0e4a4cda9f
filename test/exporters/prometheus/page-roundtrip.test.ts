/** Random metrics, read back from the page by a reader of its own: the same names, labels and values. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readRequest } from '../../../proto/request.ts'
import { WireError } from '../../../proto/wire.ts'
import { accepting, attributes, metricsRequest, TestPage } from '../../support/prometheus-page.ts'

/** What a page says: name and labels, as one text, and the number. */
type Samples = Map<string, number>

const keyOf = (name: string, labels: Readonly<Record<string, string>>): string =>
  JSON.stringify([name, Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))])

/** Reads text 1.0 and OpenMetrics: a line character by character, as a grammar would have it. */
function parse(page: string): Samples {
  const samples: Samples = new Map()
  for (const line of page.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    let at = 0
    const word = (): string => {
      if (line[at] !== '"') {
        const start = at
        while (/[\w:]/.test(line[at])) at++
        return line.slice(start, at)
      }
      let text = ''
      for (at++; line[at] !== '"'; at++) {
        if (line[at] !== '\\') text += line[at]
        else text += line[++at] === 'n' ? '\n' : line[at]
      }
      at++
      return text
    }
    let name = line[at] === '{' ? '' : word()
    const labels: Record<string, string> = {}
    if (line[at] === '{') {
      for (at++; line[at] !== '}'; at += line[at] === ',' ? 1 : 0) {
        const label = word()
        if (line[at] !== '=') name = label
        else {
          at++
          if (label in labels) throw new Error(`${label} stands twice in ${line}`)
          labels[label] = word()
        }
      }
      at++
    }
    const [value] = line.slice(at).trim().split(' ')
    const key = keyOf(name, labels)
    if (samples.has(key)) throw new Error(`${key} stands twice`)
    samples.set(key, Number(value.replace('Inf', 'Infinity')))
  }
  return samples
}

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).map(text => `m.${text}`)
const labels = fc.dictionary(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 5 }).map(text => `l.${text}`),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
  { maxKeys: 4 },
)
const count = fc.nat(2 ** 40)
const number = fc.oneof(
  fc.record({ as_double: fc.double() }),
  fc.record({ as_int: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String) }),
)
const valueOf = (value: { as_double: number } | { as_int: string }): number =>
  'as_double' in value ? value.as_double : Number(BigInt(value.as_int))
const bounds = fc
  .uniqueArray(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 5, comparator: (a, b) => a === b })
  .map(list => list.toSorted((a, b) => a - b))

/** A metric, and the samples that it makes: name, suffix, labels beside its own, value. */
type Case = readonly [
  name: string,
  metric: object,
  samples: readonly (readonly [string, Record<string, string>, number])[],
]

const numbers = fc.tuple(name, fc.boolean(), fc.boolean(), number, labels).map(([n, isSum, only, value, l]): Case => {
  const data_points = [{ ...value, attributes: attributes(l) }]
  const data = isSum
    ? { sum: { data_points, aggregation_temporality: 2, is_monotonic: only } }
    : { gauge: { data_points } }
  return [n, data, [['', l, valueOf(value)]]]
})

const histograms = fc
  .tuple(name, bounds, fc.array(count, { minLength: 6, maxLength: 6 }), fc.double(), labels)
  .map(([n, explicit_bounds, all, sum, l]): Case => {
    const bucket_counts = all.slice(0, explicit_bounds.length + 1)
    const total = bucket_counts.reduce((a, b) => a + b, 0)
    let below = 0
    const lines = explicit_bounds.map((bound, i) => {
      below += bucket_counts[i]
      return ['_bucket', { ...l, le: String(bound === 0 ? 0 : bound) }, below] as const
    })
    const point = { attributes: attributes(l), count: total, sum, bucket_counts, explicit_bounds }
    return [
      n,
      { histogram: { data_points: [point], aggregation_temporality: 2 } },
      [...lines, ['_bucket', { ...l, le: '+Inf' }, total], ['_sum', l, sum], ['_count', l, total]],
    ]
  })

const summaries = fc.tuple(name, fc.double(), count, fc.double(), labels).map(([n, value, total, sum, l]): Case => {
  const quantile_values = [{ quantile: 0.99, value }]
  const point = { attributes: attributes(l), count: total, sum, quantile_values }
  const lines = [
    ['', { ...l, quantile: '0.99' }, value] as const,
    ['_sum', l, sum] as const,
    ['_count', l, total] as const,
  ]
  return [n, { summary: { data_points: [point] } }, lines]
})

const cases = fc.uniqueArray(fc.oneof(numbers, histograms, summaries), {
  maxLength: 8,
  selector: ([n]) => n,
})

/** -0 and 0 are one bound. */
const normalised = (samples: Samples): Samples =>
  new Map([...samples].map(([key, value]) => [key.replaceAll('"le","-0"', '"le","0"'), value]))

test.each(['text/plain;version=1.0.0;escaping=allow-utf-8', `${accepting.openMetrics};escaping=allow-utf-8`])(
  'what is on the page is what came, in %s',
  accept => {
    fc.assert(
      fc.property(cases, given => {
        const page = new TestPage({ translation_strategy: 'NoTranslation' })
        expect(page.take(given.map(([n, data]) => ({ name: n, ...data })))).toBeUndefined()
        const expected: Samples = new Map()
        for (const [n, , samples] of given) {
          for (const [suffix, own, value] of samples) expected.set(keyOf(n + suffix, own), value)
        }
        const text = page.text(accept)
        // In OpenMetrics bounds have a point: it is the number that counts.
        const found = new Map(
          [...parse(text)].map(([key, value]) => [
            key.replace(/\["le","([^"]*)"\]/, (_, le: string) => `["le","${le === '+Inf' ? le : String(Number(le))}"]`),
            value,
          ]),
        )
        expect(normalised(found)).toEqual(normalised(expected))
      }),
      { numRuns: 200 },
    )
  },
)

test('any bytes are taken or rejected, every point once, and the page stays readable', () => {
  const point = fc.record(
    { as_int: fc.integer(), attributes: labels.map(attributes), time_unix_nano: count.map(String) },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(fc.array(point, { minLength: 1, maxLength: 5 }), fc.nat(1000), fc.nat(255), (data_points, at, byte) => {
      const page = new TestPage({ translation_strategy: 'NoTranslation' })
      const body = metricsRequest([{ name: 'g', gauge: { data_points } }])
      body[at % body.length] = byte
      const items = itemsOf(body)
      if (items === undefined) return
      expect(page.take(body)?.rejected ?? 0).toBeLessThanOrEqual(items)
      parse(page.text('text/plain;version=1.0.0;escaping=allow-utf-8'))
    }),
    { numRuns: 500 },
  )
})

/** Data points of a request; undefined where it is answered with an error at the door. */
function itemsOf(body: Buffer): number | undefined {
  try {
    return readRequest('metrics', body).items
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}
