/** Random metrics, with what tends to go wrong: ends of series, delta, buckets that do not add up, names that meet. */
import * as fc from 'fast-check'
import type { Attributes, Metric, Request } from './remote-write-reference.ts'

const total = (counts: readonly string[], off: number): string =>
  String(counts.reduce<number>((sum, n) => sum + Number(n), off))

const word = fc.constantFrom(
  'a',
  'a.b',
  'a-b',
  'le',
  'quantile',
  'job',
  'ä',
  'zone',
  '',
  'service.name',
  'host.name',
  'service.instance.id',
)
const attributes: fc.Arbitrary<Attributes> = fc
  .uniqueArray(word, { maxLength: 4 })
  .chain(keys =>
    fc.tuple(...keys.map(key => fc.tuple(fc.constant(key), fc.constantFrom('x', 'y', '', 'ß', 'long'.repeat(20))))),
  )
  .map(pairs => pairs.map(([key, value]) => ({ key, value: { string_value: value } })))
const time = fc.constantFrom(
  '0',
  '1767225600000999999',
  '1767225600001000000',
  '1767225599999999999',
  '1767225660123456789',
)
const double = fc.constantFrom(0, -0, 1, 1.5, -2.25, Infinity, Number.NaN, 1e300, 5e-324)
const count = fc.constantFrom('0', '0', '0', '1', '2', '7', '128', '70000')
const exemplar = fc.record(
  {
    as_double: fc.constantFrom(-1, 0, 0.5, 3, 1000),
    time_unix_nano: time,
    trace_id: fc.constantFrom(Buffer.alloc(16), Buffer.alloc(16, 7)),
    span_id: fc.constantFrom(Buffer.alloc(8), Buffer.alloc(8, 9)),
    filtered_attributes: attributes,
  },
  { requiredKeys: ['as_double', 'time_unix_nano', 'filtered_attributes'] },
)
const exemplars = fc.array(exemplar, { maxLength: 3 })
const shared = { attributes, time_unix_nano: time, start_time_unix_nano: time, flags: fc.constantFrom(0, 0, 0, 1) }
const number = fc
  .record({
    ...shared,
    exemplars,
    value: fc.oneof(double, fc.constantFrom('5', '-9007199254740993'), fc.constant(undefined)),
  })
  .map(({ value, ...rest }) =>
    value === undefined ? rest : typeof value === 'string' ? { ...rest, as_int: value } : { ...rest, as_double: value },
  )
const bounds: fc.Arbitrary<number[]> = fc.oneof(
  fc.subarray([-1, 0, 0.005, 0.1, 1, 2.5, 1e21, 1e-7, Infinity]),
  fc.constantFrom<number[]>([2, 1], [1, Number.NaN], [1, 1]),
)
const histogram = bounds.chain(explicit_bounds =>
  fc
    .record(
      {
        ...shared,
        exemplars,
        sum: double,
        explicit_bounds: fc.constant(explicit_bounds),
        bucket_counts: fc.oneof(
          fc.array(count, { minLength: explicit_bounds.length + 1, maxLength: explicit_bounds.length + 1 }),
          fc.array(count, { maxLength: 3 }),
        ),
        off: fc.constantFrom(0, 0, 0, 1),
      },
      {
        requiredKeys: [
          'attributes',
          'time_unix_nano',
          'start_time_unix_nano',
          'flags',
          'exemplars',
          'explicit_bounds',
          'bucket_counts',
          'off',
        ],
      },
    )
    .map(({ off, ...rest }) => ({
      ...rest,
      count: total(rest.bucket_counts, off),
    })),
)
const buckets = fc.record({
  offset: fc.constantFrom(0, -3, 5, 1000, -2147483648, 2147480000),
  bucket_counts: fc.array(count, { maxLength: 12 }),
})
const exponential = fc
  .record(
    {
      ...shared,
      exemplars,
      sum: double,
      scale: fc.constantFrom(-5, -4, 0, 3, 8, 9, 11, 20),
      zero_count: count,
      zero_threshold: fc.constantFrom(0, 0.001),
      positive: buckets,
      negative: buckets,
      off: fc.constantFrom(0, 0, 0, 1),
    },
    {
      requiredKeys: [
        'attributes',
        'time_unix_nano',
        'start_time_unix_nano',
        'flags',
        'exemplars',
        'scale',
        'zero_count',
        'zero_threshold',
        'off',
      ],
    },
  )
  .map(({ off, ...rest }) => {
    const all = [...(rest.positive?.bucket_counts ?? []), ...(rest.negative?.bucket_counts ?? []), rest.zero_count]
    return { ...rest, count: total(all, off) }
  })
const summary = fc.record({
  ...shared,
  count,
  sum: double,
  quantile_values: fc.array(fc.record({ quantile: fc.constantFrom(0, 0.5, 0.99, 1), value: double }), { maxLength: 3 }),
})
const temporality = fc.constantFrom(0, 1, 2, 2, 2, 2)
const points = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { maxLength: 4 })
const data = fc.oneof(
  points(number).map(data_points => ({ gauge: { data_points } })),
  fc.tuple(points(number), temporality, fc.boolean()).map(([data_points, aggregation_temporality, is_monotonic]) => ({
    sum: { data_points, aggregation_temporality, is_monotonic },
  })),
  fc
    .tuple(points(histogram), temporality)
    .map(([data_points, aggregation_temporality]) => ({ histogram: { data_points, aggregation_temporality } })),
  fc.tuple(points(exponential), temporality).map(([data_points, aggregation_temporality]) => ({
    exponential_histogram: { data_points, aggregation_temporality },
  })),
  points(summary).map(data_points => ({ summary: { data_points } })),
  fc.constant({}),
)
const metric: fc.Arbitrary<Metric> = fc
  .tuple(
    fc.record({
      name: fc.constantFrom('http.requests', 'latency', 'x', '', 'ü', '1st'),
      unit: fc.constantFrom('', 's', 'By', '1', '{things}', 'By/s'),
      description: fc.constantFrom('', 'Help.'),
    }),
    data,
  )
  .map(([head, rest]) => ({ ...head, ...rest }))
/** Any request of metrics. */
export const request: fc.Arbitrary<Request> = fc.record({
  resource_metrics: fc.array(
    fc.record({
      resource: fc.record({ attributes }),
      scope_metrics: fc.array(
        fc.record({
          scope: fc.record({ name: fc.constantFrom('', 's') }),
          metrics: fc.array(metric, { maxLength: 4 }),
        }),
        { maxLength: 2 },
      ),
    }),
    { maxLength: 3 },
  ),
})
