import { expect, test } from 'vitest'
import { telemetryConfig } from '../../telemetry/config.ts'

test('nothing given has the defaults of the Collector', () => {
  expect(telemetryConfig.parse({})).toMatchObject({
    logs: {
      level: 'info',
      encoding: 'console',
      sampling: { enabled: true, tick: 10_000, initial: 10, thereafter: 100 },
      output_paths: ['stderr'],
      error_output_paths: ['stderr'],
    },
    metrics: {
      level: 'normal',
      readers: [{ pull: { exporter: { prometheus: { host: 'localhost', port: 8888 } } } }],
      views: [],
    },
    resource: {},
  })
})

test.each([
  ['levels in any case', { logs: { level: 'WARN' }, metrics: { level: 'Detailed' } }],
  ['a level per module', { logs: { levels: { exporters: 'debug' } } }],
  ['no metrics and no readers', { metrics: { level: 'none', readers: [] } }],
  ['views with level detailed', { metrics: { level: 'detailed', views: [{ selector: {}, stream: {} }] } }],
  ['the old address', { metrics: { address: '0.0.0.0:8888' } }],
  ['a flat resource, null leaving out a default', { resource: { 'service.name': 'kymo', 'service.version': null } }],
  ['a resource as a list', { resource: { attributes: [{ name: 'service.name', value: 'kymo' }] } }],
  [
    'a reader that is served, and one that sends',
    {
      metrics: {
        readers: [
          { pull: { exporter: { prometheus: { host: '0.0.0.0', port: 9090, without_units: false } } } },
          {
            periodic: { interval: 1000, exporter: { otlp: { protocol: 'http/protobuf', endpoint: 'http://x:4318' } } },
          },
        ],
      },
    },
  ],
])('%s is accepted', (_, config) => {
  expect(telemetryConfig.safeParse(config).error?.issues).toBeUndefined()
})

const exporter = { otlp: { endpoint: 'http://localhost:4318' } }

test.each([
  [
    'of the older form',
    { otlp: { protocol: 'grpc', endpoint: 'http://gateway:4317', compression: 'gzip' } },
    { protocol: 'grpc', endpoint: 'http://gateway:4317', gzip: true, insecure: true },
  ],
  [
    'of the newer form',
    {
      otlp_http: { endpoint: 'https://x/v1/metrics', tls: { ca_file: 'ca.crt' }, headers: [{ name: 'a', value: 'b' }] },
    },
    { protocol: 'http', caFile: 'ca.crt', insecure: false, gzip: false, timeout: 10_000 },
  ],
])('a destination %s is read', (_, given, expected) => {
  const config = telemetryConfig.parse({
    metrics: { readers: [{ periodic: { exporter: given } }] },
    traces: { processors: [{ batch: { exporter: given } }] },
    logs: { processors: [{ simple: { exporter: given } }] },
  })
  expect(config.metrics.readers[0].periodic).toMatchObject({ interval: 60_000, exporter: expected })
  expect(config.traces.processors).toMatchObject([{ schedule_delay: 5000, exporter: expected }])
  expect(config.logs.processors).toMatchObject([{ schedule_delay: 50, exporter: expected }])
  expect(JSON.stringify(config)).not.toContain('"b"')
})

test.each([
  ['always_on', { always_on: {} }, 1],
  ['always_off', { always_off: null }, 0],
  ['a ratio', { trace_id_ratio_based: { ratio: 0.25 } }, 0.25],
  ['parent based', { parent_based: { root: { trace_id_ratio_based: { ratio: 0.5 } } } }, 0.5],
])('the sampler %s is a share', (_, sampler, share) => {
  expect(telemetryConfig.parse({ traces: { sampler } }).traces.sampler).toBe(share)
})

test.each([
  ['a destination without a URL', { otlp: { endpoint: 'localhost:4318' } }, 'is no URL'],
  ['two destinations', { otlp: { endpoint: 'http://a' }, otlp_grpc: { endpoint: 'a:1' } }, 'name one exporter'],
  ['none', {}, 'name one exporter'],
  ['an empty key', { otlp_http: { endpoint: 'http://a', headers: { 'api-key': '' } } }, '`api-key`: it is empty'],
])('%s is refused and told', (_, given, words) => {
  const { error } = telemetryConfig.safeParse({ metrics: { readers: [{ periodic: { exporter: given } }] } })
  expect(error?.issues.map(issue => issue.message).join()).toContain(words)
})

test.each([
  ['an unknown level', { logs: { level: 'loud' } }, ['logs', 'level']],
  ['an unknown key', { logs: { levle: 'info' } }, ['logs']],
  ['no readers', { metrics: { readers: [] } }, ['metrics', 'readers']],
  ['views without level detailed', { metrics: { views: [{}] } }, ['metrics', 'views']],
  [
    'a reader of both forms',
    { metrics: { readers: [{ pull: { exporter: {} }, periodic: { exporter } }] } },
    ['metrics', 'readers', 0],
  ],
  ['a reader of no form', { metrics: { readers: [{}] } }, ['metrics', 'readers', 0]],
])('%s is refused', (_, config, path) => {
  expect(telemetryConfig.safeParse(config).error?.issues.map(issue => issue.path)).toEqual([path])
})
