import { expect, test } from 'vitest'
import { components as shipped } from '../support/components.ts'
import { warningsOf } from '../config/toys.ts'

const components = `receivers: {otlp: {protocols: {grpc: }}}
processors: {batch: , memory_limiter: , filter: , any: }
exporters: {debug: , otlp_grpc: {endpoint: x}, otlp_grpc/2: {endpoint: y}, otlp_grpc/d: {endpoint: z, sending_queue: {when_full: drop}}, otlp_grpc/off: {endpoint: z, sending_queue: {enabled: false}}, otlp_grpc/w: {endpoint: z, sending_queue: {block_on_overflow: true}}}
`
const of = (pipeline: string) =>
  warningsOf(`${components}service: {pipelines: {traces: {receivers: [otlp], ${pipeline}}}}`).filter(
    warning => !warning.includes('not used in'),
  )

const stops = (at: string, one: string, others: string, senders = 'senders are refused') =>
  `${at} service::pipelines::traces: \`${one}\` can stop ${others}: when its queue is full, ${senders} and no exporter of the ` +
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
  [
    'an exporter that lets senders wait, which is no choice of `when_full`',
    'exporters: [debug, otlp_grpc/w]',
    [stops('4:70', 'otlp_grpc/w', '`debug`', 'senders wait')],
  ],
  ['an exporter that says what to do when full', 'exporters: [debug, otlp_grpc/d]', []],
  ['exporters without queues', 'exporters: [debug, otlp_grpc/off]', []],
])('%s: the warnings are those', (_, pipeline, warnings) => {
  expect(of(pipeline)).toEqual(warnings)
})

test.each([
  ['batch, memory_limiter', ['`memory_limiter` is not the first processor']],
  [
    'memory_limiter, batch, probabilistic_sampler',
    ['`batch` gathers data of which `probabilistic_sampler` then drops'],
  ],
  ['batch, namespace_filter', ['`batch` gathers data of which `namespace_filter` then drops']],
  // It drops nothing as it is configured.
  ['batch, namespace_filter/all', []],
  ['batch, resource', []],
  ['memory_limiter, namespace_filter, batch', []],
])('of the components that ship: %s', (processors, traps) => {
  const text = `receivers: {otlp: {protocols: {grpc: }}}
processors:
  batch:
  memory_limiter: {limit_mib: 100}
  namespace_filter:
  namespace_filter/all: {system: true}
  probabilistic_sampler: {sampling_percentage: 10}
  resource: {attributes: [{key: a, action: delete}]}
exporters: {nop: }
service: {pipelines: {traces: {receivers: [otlp], processors: [${processors}], exporters: [nop]}}}`
  const told = warningsOf(text, { components: shipped }).filter(warning => !warning.includes('not used in'))
  expect(told).toEqual(traps.map(trap => expect.stringContaining(trap)))
})
