import { expect, test } from 'vitest'
import { around, errorsOf, load, warningsOf } from './toys.ts'

test.each([
  [
    'a misspelt type, with the nearest and all others',
    'processors: {bacth/2: }',
    [
      '4:14 processors: unknown type `bacth` for id `bacth/2` (did you mean `batch`? processors of this build: `any`, `batch`, `filter`, `memory_limiter`, `namespace_filter`, `resource`, `tail_sampling`)',
    ],
  ],
  [
    'an unheard-of type, with all of its kind',
    'extensions: {unheard: }',
    ['4:14 extensions: unknown type `unheard` for id `unheard` (extensions of this build: `health_check`)'],
  ],
  [
    'a type of another kind, with its section',
    'connectors: {syslog: }',
    [
      '4:14 connectors: unknown type `syslog` for id `syslog` (`syslog` is one of the receivers: move it to `receivers`)',
    ],
  ],
  [
    'a type that was removed long ago, with what took its place',
    'exporters: {debug: , logging/2: {loglevel: debug}}',
    ['4:22 exporters: unknown type `logging` for id `logging/2` (it was removed from the Collector; use `debug`)'],
  ],
  [
    'an illegal id',
    'processors: {"b c": , /x: }',
    [
      '4:14 processors: in the id `b c` the type `b c` must be a letter, then letters, digits and `_`',
      '4:23 processors: in the id `/x` the part before `/` is empty',
    ],
  ],
  [
    'an id twice but for blanks',
    'processors: {batch/2: , "batch / 2": }',
    ['4:25 processors: duplicate name `batch/2`, which line 4 has already'],
  ],
  [
    'a list for a section',
    'processors: [batch]',
    ['4:1 processors: expected a section with the ids of processors (write each id as a key: `type:` or `type/name:`)'],
  ],
  [
    'an id that is a connector and an exporter',
    'connectors: {forward/a: }\nexporters: {debug: , otlp_http: {endpoint: x}, forward/a: }',
    [
      '4:14 connectors::forward/a: ambiguous id: there is also the exporter `forward/a` (rename the connector, for example to `forward/a/connector`)',
      '5:48 exporters: unknown type `forward` for id `forward/a` (`forward` is one of the connectors: move it to `connectors`)',
    ],
  ],
])('%s is told with its place', (_, sections, errors) => {
  expect(errorsOf(around(sections))).toEqual(errors)
})

test('components the Collector has and this build has not are one error that lists them', () => {
  const text = around(
    'processors: {k8sattributes: , transform/a: {x: 1}}\nexporters: {debug: , kafka: }',
    'receivers: [otlp], processors: [k8sattributes, transform/a], exporters: [debug, kafka]',
  )
  expect(errorsOf(text)).toEqual([
    '4:14 3 components of the OpenTelemetry Collector are not in this build: processor `k8sattributes` (--config[0]:4:14), ' +
      'processor `transform` (--config[0]:4:31), exporter `kafka` (--config[0]:5:22) (remove them, or use components this build has)',
  ])
})

test('an older name is accepted, its id stays as written, and it is warned of once', () => {
  const text = around(
    'exporters: {otlphttp: {endpoint: x}, otlphttp/2: {endpoint: y}}',
    'receivers: [otlp], exporters: [otlphttp]',
  ).replace('exporters: {debug: }\n', '')
  const { configured } = load(text)
  expect(configured.exporters.get('otlphttp')).toMatchObject({ id: 'otlphttp', definition: { type: 'otlp_http' } })
  expect(warningsOf(text).filter(warning => warning.includes('older name'))).toEqual([
    '4:13 exporters: `otlphttp` is the older name of `otlp_http`; both mean the same (write `otlp_http`, here and where the id is used)',
  ])
})

test('the older and the newer name are two ids that do not stand in for each other', () => {
  const text = around('exporters: {otlp_http: {endpoint: x}}', 'receivers: [otlp], exporters: [otlphttp]')
  expect(errorsOf(text)).toEqual([
    '3:63 service::pipelines::traces: references exporter `otlphttp` which is not configured (did you mean `otlp_http`?)',
  ])
})

test('a section with nothing in it is as if it were not there', () => {
  expect(errorsOf(around('processors:\nextensions:\nconnectors: {}'))).toEqual([])
})
