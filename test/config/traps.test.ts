import { expect, test } from 'vitest'
import { warningsOf } from './toys.ts'

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
    '4:25 service::telemetry::metrics: `address` is the old form of `readers`; it is still understood (write `readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]`)',
  ])
})

test('a duration without a unit is warned of where it is hardly meant', () => {
  const text = `receivers: {otlp: {protocols: {http: }}}
exporters:
  otlp_http: {endpoint: http://x, timeout: 5, retry_on_failure: {max_elapsed_time: 0, initial_interval: 5000000000}}
processors: {batch: {timeout: 200}}
service: {pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [otlp_http]}}}`
  expect(warningsOf(text)).toEqual([
    '3:44 exporters::otlp_http::timeout: a number without a unit is in nanoseconds, so this is 5 nanoseconds (write `5s` or `5ms`)',
    '4:31 processors::batch::timeout: a number without a unit is in nanoseconds, so this is 200 nanoseconds (write `200s` or `200ms`)',
  ])
})
