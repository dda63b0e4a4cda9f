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

test.each([
  ['an unknown level', { logs: { level: 'loud' } }, ['logs', 'level']],
  ['an unknown key', { logs: { levle: 'info' } }, ['logs']],
  ['no readers', { metrics: { readers: [] } }, ['metrics', 'readers']],
  ['views without level detailed', { metrics: { views: [{}] } }, ['metrics', 'views']],
  [
    'a reader of both forms',
    { metrics: { readers: [{ pull: { exporter: {} }, periodic: { exporter: {} } }] } },
    ['metrics', 'readers', 0],
  ],
  ['a reader of no form', { metrics: { readers: [{}] } }, ['metrics', 'readers', 0]],
])('%s is refused', (_, config, path) => {
  expect(telemetryConfig.safeParse(config).error?.issues.map(issue => issue.path)).toEqual([path])
})
