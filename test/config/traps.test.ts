import { expect, test } from 'vitest'
import { warningsOf } from './toys.ts'

const components = `receivers: {otlp: {protocols: {grpc: }}}
processors: {batch: , memory_limiter: , filter: , any: }
exporters: {debug: , otlp_grpc: {endpoint: x}, otlp_grpc/2: {endpoint: y}, otlp_grpc/d: {endpoint: z, sending_queue: {when_full: drop}}, otlp_grpc/off: {endpoint: z, sending_queue: {enabled: false}}}
`
const of = (pipeline: string) =>
  warningsOf(`${components}service: {pipelines: {traces: {receivers: [otlp], ${pipeline}}}}`).filter(
    warning => !warning.includes('not used in'),
  )

const stops = (at: string, one: string, others: string) =>
  `${at} service::pipelines::traces: \`${one}\` can stop ${others}: when its queue is full, senders are refused and no exporter of the ` +
  `pipeline gets the data (set \`sending_queue::when_full\` of \`${one}\`: \`refuse\` if that is meant, \`drop\` to lose its part only)`

test.each([
  [
    'a memory limiter that is not first',
    'processors: [any, memory_limiter], exporters: [debug]',
    [
      '4:69 service::pipelines::traces: `memory_limiter` is not the first processor: what is before it works without a limit (name it first)',
    ],
  ],
  ['a memory limiter that is first', 'processors: [memory_limiter, any], exporters: [debug]', []],
  [
    'a batch before what drops',
    'processors: [batch, any, filter], exporters: [debug]',
    [
      '4:64 service::pipelines::traces: `batch` gathers data of which `filter` then drops a part (name it after `filter`)',
    ],
  ],
  ['a batch behind what drops', 'processors: [filter, batch, any], exporters: [debug]', []],
  ['a single exporter', 'exporters: [otlp_grpc]', []],
  ['an exporter named twice', 'exporters: [otlp_grpc, otlp_grpc]', []],
  [
    'two exporters with queues',
    'exporters: [otlp_grpc, otlp_grpc/2]',
    [stops('4:63', 'otlp_grpc', '`otlp_grpc/2`'), stops('4:74', 'otlp_grpc/2', '`otlp_grpc`')],
  ],
  [
    'an exporter with a queue beside one without',
    'exporters: [debug, otlp_grpc]',
    [stops('4:70', 'otlp_grpc', '`debug`')],
  ],
  ['an exporter that says what to do when full', 'exporters: [debug, otlp_grpc/d]', []],
  ['exporters without queues', 'exporters: [debug, otlp_grpc/off]', []],
])('%s: the warnings are those', (_, pipeline, warnings) => {
  expect(of(pipeline)).toEqual(warnings)
})

test('what is configured and not used is warned of, by its kind', () => {
  const text = `receivers: {otlp: {protocols: {grpc: }}, otlp/2: {protocols: {http: }}}
processors: {any: }
exporters: {debug: , otlp_grpc: {endpoint: x}}
connectors: {forward: }
extensions: {health_check: }
service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}`
  expect(warningsOf(text)).toEqual([
    '1:42 receivers::otlp/2: not used in any pipeline (it is checked, but does not run)',
    '2:14 processors::any: not used in any pipeline (it is checked, but does not run)',
    '3:22 exporters::otlp_grpc: not used in any pipeline (it is checked, but does not run)',
    '4:14 connectors::forward: not used in any pipeline (it is checked, but does not run)',
    '5:14 extensions::health_check: not used in `service::extensions` (it is checked, but does not run)',
  ])
})

test('an exporter that is not used is told so although a receiver of its name is', () => {
  const text = `receivers: {otlp: {protocols: {grpc: }}}
exporters: {debug: , otlp: {endpoint: x}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}`
  expect(warningsOf(text)).toContainEqual(expect.stringContaining('exporters::otlp: not used'))
})

test('the old metrics address is accepted with a warning', () => {
  const text = `receivers: {otlp: {protocols: {grpc: }}}
exporters: {debug: }
service:
  telemetry: {metrics: {address: ":8888"}}
  pipelines: {traces: {receivers: [otlp], exporters: [debug]}}`
  expect(warningsOf(text)).toEqual([
    '4:25 service::telemetry::metrics: `address` is the old form of `readers`; it is still understood (write `readers: [{pull: {exporter: {prometheus: {host: localhost, port: 8888}}}}]`)',
  ])
})
