import { expect, test } from 'vitest'
import * as z from 'zod'
import { defineProcessor } from '../../core/component.ts'
import { texts } from '../../core/fields.ts'
import { allSignals } from '../../proto/signals.ts'
import { errorsOf, load, toys } from './toys.ts'

const components = `receivers: {otlp: {protocols: {grpc: }}, syslog: }
processors: {batch: , any: , tail_sampling: }
exporters: {debug: , otlp_grpc: {endpoint: x}}
connectors: {forward: , forward/2: , span_metrics: }
extensions: {health_check: }
`
const of = (service: string) => errorsOf(`${components}service: ${service}`)

test.each([
  [
    'a receiver that is not configured',
    '{traces: {receivers: [otpl], exporters: [debug]}}',
    ['6:44 service::pipelines::traces: references receiver `otpl` which is not configured (did you mean `otlp`?)'],
  ],
  [
    'a processor that is not configured',
    '{traces: {receivers: [otlp], processors: [xyz], exporters: [debug]}}',
    [
      '6:64 service::pipelines::traces: references processor `xyz` which is not configured (configured: `batch`, `any`, `tail_sampling`)',
    ],
  ],
  [
    'an exporter that is not configured',
    '{traces: {receivers: [otlp], exporters: [debug/2]}}',
    ['6:63 service::pipelines::traces: references exporter `debug/2` which is not configured (did you mean `debug`?)'],
  ],
  [
    'several references at once',
    '{traces: {receivers: [a], processors: [b], exporters: [c]}}',
    [
      '6:44 service::pipelines::traces: references receiver `a` which is not configured (configured: `otlp`, `syslog`, `forward`, `forward/2`, `span_metrics`)',
      '6:61 service::pipelines::traces: references processor `b` which is not configured (configured: `batch`, `any`, `tail_sampling`)',
      '6:77 service::pipelines::traces: references exporter `c` which is not configured (configured: `debug`, `otlp_grpc`, `forward`, `forward/2`, `span_metrics`)',
    ],
  ],
  [
    'a processor twice',
    '{traces: {receivers: [otlp], processors: [any, batch, any], exporters: [debug]}}',
    ['6:76 service::pipelines::traces: references processor `any` multiple times'],
  ],
  [
    'no receiver',
    '{traces: {exporters: [debug]}}',
    ['6:23 service::pipelines::traces: must have at least one receiver'],
  ],
  [
    'no exporter',
    '{traces: {receivers: [otlp], exporters: []}}',
    ['6:51 service::pipelines::traces: must have at least one exporter'],
  ],
  [
    'a pipeline with nothing in it',
    '{traces: }',
    [
      '6:23 service::pipelines::traces: must have at least one receiver',
      '6:23 service::pipelines::traces: must have at least one exporter',
    ],
  ],
  ['no pipelines', '{}', ['6:11 service::pipelines: service must have at least one pipeline']],
  [
    'a signal that is none',
    '{trace: {receivers: [otlp], exporters: [debug]}}',
    ['6:23 service::pipelines: unknown signal `trace` in the id `trace` (did you mean `traces`?)'],
  ],
  [
    'profiles',
    '{profiles/a: {receivers: [otlp], exporters: [debug]}}',
    [
      '6:23 service::pipelines: unknown signal `profiles` in the id `profiles/a` (profiles are not supported yet; signals: `traces`, `metrics`, `logs`)',
    ],
  ],
  [
    'an illegal id of a pipeline',
    '{traces/: {receivers: [otlp], exporters: [debug]}}',
    ['6:23 service::pipelines: in the id `traces/` the part after `/` is empty'],
  ],
  [
    'an unknown key of a pipeline',
    '{traces: {receiver: [otlp], receivers: [otlp], exporters: [debug]}}',
    ['6:32 service::pipelines::traces: unknown key `receiver` (did you mean `receivers`?)'],
  ],
  [
    'a text for a list',
    '{traces: {receivers: otlp, exporters: [debug]}}',
    ['6:32 service::pipelines::traces::receivers: expected a list of ids (write it as `[a, b]`)'],
  ],
  [
    'a number for an id',
    '{traces: {receivers: [5], exporters: [debug]}}',
    ['6:44 service::pipelines::traces::receivers: expected the id of a component'],
  ],
  [
    'a receiver of another signal',
    '{traces: {receivers: [otlp, syslog], exporters: [debug]}}',
    ['6:50 service::pipelines::traces: the receiver `syslog` does not support traces (it supports logs)'],
  ],
  [
    'a processor of another signal',
    '{logs: {receivers: [otlp], processors: [tail_sampling], exporters: [debug]}}',
    ['6:62 service::pipelines::logs: the processor `tail_sampling` does not support logs (it supports traces)'],
  ],
  [
    'a connector that nothing takes from',
    '{traces: {receivers: [otlp], exporters: [forward]}}',
    [
      '6:63 connector `forward` used as exporter in [traces] pipeline but not used in any supported receiver pipeline (name it among the receivers of another pipeline)',
    ],
  ],
  [
    'a connector that nothing feeds',
    '{traces: {receivers: [forward], exporters: [debug]}}',
    [
      '6:44 connector `forward` used as receiver in [traces] pipeline but not used in any supported exporter pipeline (name it among the exporters of another pipeline)',
    ],
  ],
  [
    'a connector between signals it does not join',
    '{traces: {receivers: [otlp], exporters: [forward]}, logs: {receivers: [forward], exporters: [debug]}}',
    [
      '6:63 connector `forward` used as exporter in [traces] pipeline but not used in any supported receiver pipeline (name it among the receivers of another pipeline)',
      '6:93 connector `forward` used as receiver in [logs] pipeline but not used in any supported exporter pipeline (name it among the exporters of another pipeline)',
    ],
  ],
  [
    'a connector of another signal',
    '{logs: {receivers: [otlp], exporters: [span_metrics]}, metrics: {receivers: [span_metrics], exporters: [debug]}}',
    [
      '6:61 service::pipelines::logs: the connector `span_metrics` does not take logs (as exporter it supports traces)',
      '6:99 connector `span_metrics` used as receiver in [metrics] pipeline but not used in any supported exporter pipeline (name it among the exporters of another pipeline)',
    ],
  ],
  [
    'a circle of one',
    '{traces: {receivers: [otlp, forward], processors: [any], exporters: [forward]}}',
    [
      '6:91 cycle detected: connector `forward` (traces to traces) -> processor `any` in pipeline `traces` -> connector `forward` (traces to traces) (data would go round for ever: cut it at one place)',
    ],
  ],
  [
    'a circle of two',
    '{traces: {receivers: [otlp, forward], exporters: [forward/2]}, traces/2: {receivers: [forward/2], processors: [batch], exporters: [forward]}}',
    [
      '6:72 cycle detected: connector `forward/2` (traces to traces) -> processor `batch` in pipeline `traces/2` -> connector `forward` (traces to traces) -> connector `forward/2` (traces to traces) (data would go round for ever: cut it at one place)',
    ],
  ],
])('%s is told with its place', (_, pipelines, errors) => {
  expect(of(pipelines === '{}' ? '{pipelines: {}}' : `{pipelines: ${pipelines}}`)).toEqual(errors)
})

test.each([
  [
    'no `service`',
    components,
    '1:1 the section `service` is missing (it needs `pipelines` with at least one pipeline)',
  ],
  [
    'an empty `service`',
    `${components}service:`,
    '6:1 service: the section is empty (it needs `pipelines` with at least one pipeline)',
  ],
  [
    'a list as `service`',
    `${components}service: []`,
    '6:1 service: expected a section with `telemetry`, `extensions`, `pipelines`',
  ],
  [
    'a list of pipelines',
    `${components}service: {pipelines: []}`,
    '6:11 service::pipelines: expected a section with one key for each pipeline (such as `traces: {receivers: […], exporters: […]}`)',
  ],
  [
    'an unknown key of service',
    `${components}service: {pipeline: {}}`,
    '6:11 service: unknown key `pipeline` (did you mean `pipelines`?)',
  ],
  [
    'an extension that is not configured',
    `${components}service: {extensions: [healthcheck]}`,
    '6:24 service::extensions: references extension `healthcheck` which is not configured (did you mean `health_check`?)',
  ],
])('%s is told with its place', (_, text, error) => {
  expect(errorsOf(text)).toContain(error)
})

test('what is right comes out as the graph needs it', () => {
  const { configured } = load(`${components}service:
  extensions: [health_check]
  pipelines:
    traces: {receivers: [otlp, otlp], processors: [batch, any], exporters: [debug, span_metrics, forward]}
    "traces / b": {receivers: [forward], exporters: [otlp_grpc, otlp_grpc]}
    metrics: {receivers: [span_metrics], exporters: ["\${env:E:-debug}"]}
`)
  expect(configured.started).toEqual(['health_check'])
  expect(configured.pipelines).toEqual([
    {
      id: 'traces',
      signal: 'traces',
      receivers: ['otlp'],
      processors: ['batch', 'any'],
      exporters: ['debug', 'span_metrics', 'forward'],
    },
    { id: 'traces/b', signal: 'traces', receivers: ['forward'], processors: [], exporters: ['otlp_grpc'] },
    { id: 'metrics', signal: 'metrics', receivers: ['span_metrics'], processors: [], exporters: ['debug'] },
  ])
  expect([...configured.connectors.keys()]).toEqual(['forward', 'forward/2', 'span_metrics'])
})

const picky = defineProcessor({
  type: 'picky',
  stability: 'alpha',
  summary: 'A toy.',
  examples: [],
  signals: allSignals,
  hold: 'none',
  config: z.strictObject({ span: z.strictObject({ names: texts().prefault([]) }).prefault({}) }),
  unfit: ({ span }, signal) =>
    signal === 'traces' || span.names.length === 0
      ? []
      : [{ path: ['span', 'names'], problem: `not for ${signal}`, hint: 'take another' }],
  create: () => source => source,
})

test.each([
  ['not used', '{}', []],
  ['used for what it fits', '{traces: {receivers: [otlp], processors: [picky], exporters: [debug]}}', []],
  [
    'used for two signals it does not fit, one of them twice',
    '{logs: {receivers: [otlp], processors: [picky], exporters: [debug]}, ' +
      'logs/2: {receivers: [otlp], processors: [picky], exporters: [debug]}, ' +
      'metrics: {receivers: [otlp], processors: [picky], exporters: [debug]}}',
    [
      '3:20 processors::picky::span::names: not for logs (take another)',
      '3:20 processors::picky::span::names: not for metrics (take another)',
    ],
  ],
])('what a signal does not go with is told where it stands: %s', (_, pipelines, errors) => {
  const text = `processors:
  picky:
    span: { names: [a] }
receivers: {otlp: {protocols: {grpc: }}}
exporters: {debug: }
service: {pipelines: ${pipelines === '{}' ? '{traces: {receivers: [otlp], exporters: [debug]}}' : pipelines}}`
  expect(errorsOf(text, { components: [...toys, picky] })).toEqual(errors)
})
