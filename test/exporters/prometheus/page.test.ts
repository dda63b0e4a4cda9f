import { expect, test } from 'vitest'
import { accepting, attributes, TestPage } from '../../support/prometheus-page.ts'

const at = { start_time_unix_nano: '1700000000000000000', time_unix_nano: '1700000060123456789' }
const point = (more: object, labels: Readonly<Record<string, string>> = {}) => ({
  attributes: attributes(labels),
  ...at,
  ...more,
})
const cumulative = { aggregation_temporality: 2 }

const gauge = {
  name: 'room.temperature',
  unit: 'Cel',
  gauge: { data_points: [point({ as_double: 21.5 }, { room: 'a' })] },
}
const counter = {
  name: 'http.requests',
  description: 'All of them.',
  sum: { data_points: [point({ as_int: '7' }, { 'http.route': '/' })], ...cumulative, is_monotonic: true },
}
const histogram = {
  name: 'http.duration',
  unit: 's',
  histogram: {
    data_points: [
      point({ count: '6', sum: 3.5, bucket_counts: ['1', '2', '3'], explicit_bounds: [0.5, 1] }, { a: 'b' }),
    ],
    ...cumulative,
  },
}
const exponential = {
  name: 'size',
  unit: 'By',
  exponential_histogram: {
    data_points: [
      point({
        count: '10',
        sum: 12.5,
        scale: 1,
        zero_count: '1',
        zero_threshold: 0.25,
        positive: { offset: 0, bucket_counts: ['1', '2', '0', '3'] },
        negative: { offset: -1, bucket_counts: ['2', '1'] },
      }),
    ],
    ...cumulative,
  },
}
const summary = {
  name: 'rpc.time',
  unit: 'ms',
  summary: {
    data_points: [
      point(
        {
          count: '4',
          sum: 10,
          quantile_values: [
            { quantile: 0.5, value: 2 },
            { quantile: 1, value: 4.5 },
          ],
        },
        { x: 'y' },
      ),
    ],
  },
}

test.each<[string, object, string, string]>([
  [
    'a gauge',
    gauge,
    '# TYPE room_temperature_celsius gauge\nroom_temperature_celsius{room="a"} 21.5\n',
    '# TYPE room_temperature_celsius gauge\n# UNIT room_temperature_celsius celsius\nroom_temperature_celsius{room="a"} 21.5\n',
  ],
  [
    'a sum that only grows',
    counter,
    '# HELP http_requests_total All of them.\n# TYPE http_requests_total counter\nhttp_requests_total{http_route="/"} 7\n',
    '# HELP http_requests All of them.\n# TYPE http_requests counter\nhttp_requests_total{http_route="/"} 7\n',
  ],
  [
    'a sum that also falls',
    { name: 'connections', sum: { data_points: [point({ as_int: '-3' })], ...cumulative } },
    '# TYPE connections gauge\nconnections -3\n',
    '# TYPE connections gauge\nconnections -3\n',
  ],
  [
    'a gauge whose type was not known',
    { ...gauge, metadata: attributes({ 'prometheus.type': 'unknown' }) },
    '# TYPE room_temperature_celsius untyped\nroom_temperature_celsius{room="a"} 21.5\n',
    '# TYPE room_temperature_celsius unknown\n# UNIT room_temperature_celsius celsius\nroom_temperature_celsius{room="a"} 21.5\n',
  ],
  [
    'a histogram',
    histogram,
    '# TYPE http_duration_seconds histogram\n' +
      'http_duration_seconds_bucket{a="b",le="0.5"} 1\nhttp_duration_seconds_bucket{a="b",le="1"} 3\n' +
      'http_duration_seconds_bucket{a="b",le="+Inf"} 6\n' +
      'http_duration_seconds_sum{a="b"} 3.5\nhttp_duration_seconds_count{a="b"} 6\n',
    '# TYPE http_duration_seconds histogram\n# UNIT http_duration_seconds seconds\n' +
      'http_duration_seconds_bucket{a="b",le="0.5"} 1\nhttp_duration_seconds_bucket{a="b",le="1.0"} 3\n' +
      'http_duration_seconds_bucket{a="b",le="+Inf"} 6\n' +
      'http_duration_seconds_sum{a="b"} 3.5\nhttp_duration_seconds_count{a="b"} 6\n',
  ],
  [
    'a histogram of which only the count is known',
    { name: 'h', histogram: { data_points: [point({ count: '6' })], ...cumulative } },
    '# TYPE h histogram\nh_bucket{le="+Inf"} 6\nh_count 6\n',
    '# TYPE h histogram\nh_bucket{le="+Inf"} 6\nh_count 6\n',
  ],
  [
    // Buckets of scale 1 two by two: (1, 2] and (2, 4], below zero [-2, -1) and [-1, -0.5).
    'an exponential histogram, at powers of two',
    exponential,
    '# TYPE size_bytes histogram\n' +
      'size_bytes_bucket{le="-1"} 1\nsize_bytes_bucket{le="-0.5"} 3\nsize_bytes_bucket{le="0.25"} 4\n' +
      'size_bytes_bucket{le="1"} 4\nsize_bytes_bucket{le="2"} 7\nsize_bytes_bucket{le="4"} 10\n' +
      'size_bytes_bucket{le="+Inf"} 10\nsize_bytes_sum 12.5\nsize_bytes_count 10\n',
    '# TYPE size_bytes histogram\n# UNIT size_bytes bytes\n' +
      'size_bytes_bucket{le="-1.0"} 1\nsize_bytes_bucket{le="-0.5"} 3\nsize_bytes_bucket{le="0.25"} 4\n' +
      'size_bytes_bucket{le="1.0"} 4\nsize_bytes_bucket{le="2.0"} 7\nsize_bytes_bucket{le="4.0"} 10\n' +
      'size_bytes_bucket{le="+Inf"} 10\nsize_bytes_sum 12.5\nsize_bytes_count 10\n',
  ],
  [
    'a summary',
    summary,
    '# TYPE rpc_time_milliseconds summary\n' +
      'rpc_time_milliseconds{x="y",quantile="0.5"} 2\nrpc_time_milliseconds{x="y",quantile="1"} 4.5\n' +
      'rpc_time_milliseconds_sum{x="y"} 10\nrpc_time_milliseconds_count{x="y"} 4\n',
    '# TYPE rpc_time_milliseconds summary\n# UNIT rpc_time_milliseconds milliseconds\n' +
      'rpc_time_milliseconds{x="y",quantile="0.5"} 2\nrpc_time_milliseconds{x="y",quantile="1.0"} 4.5\n' +
      'rpc_time_milliseconds_sum{x="y"} 10\nrpc_time_milliseconds_count{x="y"} 4\n',
  ],
])('%s stands on the page', (_row, metric, text, openMetrics) => {
  const page = new TestPage()
  expect(page.take([metric])).toBeUndefined()
  expect(page.text()).toBe(text)
  expect(page.text(accepting.openMetrics)).toBe(`${openMetrics}# EOF\n`)
})

test.each<[string, object, string]>([
  ['a double', { as_double: 0.1 }, '0.1'],
  ['the smallest double', { as_double: 5e-324 }, '5e-324'],
  ['the largest double', { as_double: Number.MAX_VALUE }, '1.7976931348623157e+308'],
  ['minus nothing', { as_double: -0 }, '-0'],
  ['no number', { as_double: NaN }, 'NaN'],
  ['infinity', { as_double: Infinity }, '+Inf'],
  ['minus infinity', { as_double: -Infinity }, '-Inf'],
  ['an integer no double holds', { as_int: '9007199254740993' }, '9007199254740992'],
  ['an integer that rounds up', { as_int: '9007199254740995' }, '9007199254740996'],
  ['the smallest integer', { as_int: '-9223372036854775808' }, '-9223372036854776000'],
  ['the largest integer', { as_int: '9223372036854775807' }, '9223372036854776000'],
])('%s is read back as the same double', (_row, value, text) => {
  const page = new TestPage()
  page.take([{ name: 'n', gauge: { data_points: [point(value)] } }])
  expect(page.text()).toBe(`# TYPE n gauge\nn ${text}\n`)
})

test('times are shown where that is wanted', () => {
  const page = new TestPage({ send_timestamps: true })
  page.take([gauge])
  expect(page.text()).toContain('room_temperature_celsius{room="a"} 21.5 1700000060123\n')
  expect(page.text(accepting.openMetrics)).toContain('room_temperature_celsius{room="a"} 21.5 1700000060.123\n')
})

test('texts are escaped', () => {
  const page = new TestPage()
  const odd = {
    ...gauge,
    description: 'a \\ "b"\nc',
    gauge: { data_points: [point({ as_int: 1 }, { x: 'a \\ "b"\nc' })] },
  }
  page.take([odd])
  expect(page.text()).toContain('# HELP room_temperature_celsius a \\\\ "b"\\nc\n')
  expect(page.text(accepting.openMetrics)).toContain('# HELP room_temperature_celsius a \\\\ \\"b\\"\\nc\n')
  expect(page.text()).toContain('room_temperature_celsius{x="a \\\\ \\"b\\"\\nc"} 1\n')
})

test('metrics stand in the order of their names, the series of one together', () => {
  const page = new TestPage()
  const named = (name: string, x: string) => ({ name, gauge: { data_points: [point({ as_int: 1 }, { x })] } })
  page.take([named('b', '1'), named('a', '1'), named('b', '2')])
  expect(page.text()).toBe('# TYPE a gauge\na{x="1"} 1\n# TYPE b gauge\nb{x="1"} 1\nb{x="2"} 1\n')
})

test.each<[string, object, string]>([
  [
    'resource and scope',
    { without_scope_info: false },
    'g{instance="i-1",job="shop/cart",otel_scope_lib="x",otel_scope_name="http",otel_scope_schema_url="https://s",otel_scope_version="1.2"} 1\n' +
      '# HELP target_info Target metadata\n# TYPE target_info gauge\ntarget_info{host_name="h",instance="i-1",job="shop/cart"} 1\n',
  ],
  [
    'no scope',
    {},
    'g{instance="i-1",job="shop/cart"} 1\n# HELP target_info Target metadata\n# TYPE target_info gauge\ntarget_info{host_name="h",instance="i-1",job="shop/cart"} 1\n',
  ],
  [
    'constant labels and a namespace',
    { const_labels: { 'some region': 'eu' }, namespace: 'ns' },
    'ns_g{instance="i-1",job="shop/cart",some_region="eu"} 1\n',
  ],
  [
    'all attributes of the resource',
    { resource_to_telemetry_conversion: { enabled: true } },
    'g{host_name="h",instance="i-1",job="shop/cart",service_instance_id="i-1",service_name="cart",service_namespace="shop"} 1\n',
  ],
  [
    'all attributes of the resource but those of the service',
    { resource_to_telemetry_conversion: { enabled: true, exclude_service_attributes: true } },
    'g{host_name="h",instance="i-1",job="shop/cart"} 1\n',
  ],
  [
    'some attributes of the resource',
    { resource_constant_labels: { included: ['host.*', 'service.na?e'] } },
    'g{host_name="h",instance="i-1",job="shop/cart",service_name="cart"} 1\n',
  ],
  [
    'all attributes of the resource but some',
    { resource_constant_labels: { excluded: ['service.*'] } },
    'g{host_name="h",instance="i-1",job="shop/cart"} 1\n',
  ],
])('labels come from %s', (_row, settings, expected) => {
  const page = new TestPage(settings)
  page.take([{ name: 'g', gauge: { data_points: [point({ as_int: 1 })] } }], 1, {
    resource: { 'service.name': 'cart', 'service.namespace': 'shop', 'service.instance.id': 'i-1', 'host.name': 'h' },
    scope: { name: 'http', version: '1.2', attributes: attributes({ lib: 'x' }) },
    schemaUrl: 'https://s',
  })
  expect(page.text()).toContain(expected)
})

test('in OpenMetrics what is known of a resource is an info', () => {
  const page = new TestPage()
  page.take([gauge], 1, { resource: { 'service.name': 'cart', 'host.name': 'h' } })
  expect(page.text(accepting.openMetrics)).toContain(
    '# HELP target Target metadata\n# TYPE target info\ntarget_info{host_name="h",job="cart"} 1\n# EOF\n',
  )
})

test.each<[string, object, string, string]>([
  ['with suffixes', {}, 'allow-utf-8', '{"http.requests_total","http.route"="/"} 7\n'],
  ['underscores', {}, 'underscores', 'http_requests_total{http_route="/"} 7\n'],
  ['dots', {}, 'dots', 'http_dot_requests__total{http_dot_route="/"} 7\n'],
  ['values', {}, 'values', 'U__http_2e_requests__total{U__http_2e_route="/"} 7\n'],
  [
    'without suffixes',
    { translation_strategy: 'NoTranslation' },
    'allow-utf-8',
    '{"http.requests","http.route"="/"} 7\n',
  ],
])('names that are not escaped are as the reader wants them: %s', (_row, settings, escaping, expected) => {
  const page = new TestPage({ translation_strategy: 'NoUTF8EscapingWithSuffixes', ...settings })
  page.take([counter])
  expect(page.text(`text/plain;version=1.0.0;escaping=${escaping}`)).toContain(expected)
})

test('a metric in quotes has its type in quotes', () => {
  const page = new TestPage({ translation_strategy: 'NoTranslation' })
  page.take([counter])
  expect(page.text('text/plain;version=1.0.0;escaping=allow-utf-8')).toContain(
    '# HELP "http.requests" All of them.\n# TYPE "http.requests" counter\n',
  )
})

test('labels that escaping makes one are joined, metrics of which the first is shown', () => {
  const page = new TestPage({ translation_strategy: 'NoTranslation' })
  const named = (name: string) => ({ name, gauge: { data_points: [point({ as_int: 1 }, { 'a.b': '1', a_b: '2' })] } })
  page.take([named('x.y'), named('x_y')])
  expect(page.text()).toBe('# TYPE x_y gauge\nx_y{a_b="1;2"} 1\n')
})

test('a counter that is not called total has no type in OpenMetrics', () => {
  const page = new TestPage({ translation_strategy: 'UnderscoreEscapingWithoutSuffixes' })
  page.take([counter])
  expect(page.text()).toContain('# TYPE http_requests counter\nhttp_requests{http_route="/"} 7\n')
  expect(page.text(accepting.openMetrics)).toContain('# TYPE http_requests unknown\nhttp_requests{http_route="/"} 7\n')
})

test('a counter whose name without total is another metric has no type in OpenMetrics', () => {
  const page = new TestPage()
  page.take([counter, { name: 'http.requests', gauge: { data_points: [point({ as_int: 1 })] } }])
  expect(page.text(accepting.openMetrics)).toBe(
    '# TYPE http_requests gauge\nhttp_requests 1\n' +
      '# HELP http_requests_total All of them.\n# TYPE http_requests_total unknown\nhttp_requests_total{http_route="/"} 7\n# EOF\n',
  )
})

test('a label that the page needs for itself is called exported', () => {
  const page = new TestPage()
  const bounds = { count: '1', bucket_counts: ['1'] }
  page.take([
    { name: 'h', histogram: { data_points: [point(bounds, { le: 'x' })], ...cumulative } },
    { name: 's', summary: { data_points: [point({ count: '1', sum: 1 }, { quantile: 'x' })] } },
  ])
  expect(page.text()).toContain('h_bucket{exported_le="x",le="+Inf"} 1\n')
  expect(page.text()).toContain('s_count{exported_quantile="x"} 1\n')
})

test('bounds that doubles cannot tell apart stand once', () => {
  const page = new TestPage()
  const far = { ...exponential.exponential_histogram.data_points[0], scale: 0 }
  const positive = { offset: -2000, bucket_counts: Array.from({ length: 4000 }, () => '1') }
  page.take([{ name: 'far', exponential_histogram: { data_points: [{ ...far, positive }], ...cumulative } }])
  const bounds = [...page.text().matchAll(/le="([^"]*)"/g)].map(([, bound]) =>
    Number(bound.replace('+Inf', 'Infinity')),
  )
  expect(bounds.length).toBeGreaterThan(1000)
  for (let i = 1; i < bounds.length; i++) expect(bounds[i]).toBeGreaterThan(bounds[i - 1])
})

const exemplar = (value: object, more: object = {}) => ({
  time_unix_nano: '1700000050500000000',
  trace_id: Buffer.from('0102030405060708090a0b0c0d0e0f10', 'hex'),
  span_id: Buffer.from('a1a2a3a4a5a6a7a8', 'hex'),
  ...value,
  ...more,
})
const ids = 'trace_id="0102030405060708090a0b0c0d0e0f10",span_id="a1a2a3a4a5a6a7a8"'

test.each<[string, object, string]>([
  [
    'of a counter',
    {
      name: 'c',
      sum: {
        data_points: [point({ as_int: 1, exemplars: [exemplar({ as_int: '5' })] })],
        ...cumulative,
        is_monotonic: true,
      },
    },
    `c_total 1 # {${ids}} 5 1700000050.5\n`,
  ],
  [
    'of a bucket',
    {
      ...histogram,
      histogram: {
        ...cumulative,
        data_points: [
          {
            ...histogram.histogram.data_points[0],
            exemplars: [exemplar({ as_double: 0.75 }), exemplar({ as_double: 9 })],
          },
        ],
      },
    },
    'http_duration_seconds_bucket{a="b",le="0.5"} 1\n' +
      `http_duration_seconds_bucket{a="b",le="1.0"} 3 # {${ids}} 0.75 1700000050.5\n` +
      `http_duration_seconds_bucket{a="b",le="+Inf"} 6 # {${ids}} 9 1700000050.5\n`,
  ],
  [
    'with attributes that fit',
    {
      name: 'c',
      sum: {
        data_points: [
          point({
            as_int: 1,
            exemplars: [
              exemplar(
                { as_int: '5' },
                { filtered_attributes: attributes({ long: 'x'.repeat(62), 'user.id': 'ä'.repeat(58) }) },
              ),
            ],
          }),
        ],
        ...cumulative,
        is_monotonic: true,
      },
    },
    `c_total 1 # {${ids},user_id="${'ä'.repeat(58)}"} 5 1700000050.5\n`,
  ],
  [
    'without ids and time',
    {
      name: 'c',
      sum: {
        data_points: [
          point({ as_int: 1, exemplars: [{ as_double: 0.5, filtered_attributes: attributes({ a: 'b' }) }] }),
        ],
        ...cumulative,
        is_monotonic: true,
      },
    },
    'c_total 1 # {a="b"} 0.5\n',
  ],
])('exemplars stand in OpenMetrics only: %s', (_row, metric, expected) => {
  const page = new TestPage()
  page.take([metric])
  expect(page.text(accepting.openMetrics)).toContain(expected)
  expect(page.text()).not.toContain(' # {')
})
