import { expect, test } from 'vitest'
import { type AdminOptions, adminPlace, ownTelemetry } from '../../service/settings.ts'
import { telemetryConfig } from '../../telemetry/config.ts'

const own = (config: unknown, env: NodeJS.ProcessEnv = {}) => ownTelemetry(telemetryConfig.parse(config), env, '1.2.3')
const reader = (host: string, port: number) => ({ pull: { exporter: { prometheus: { host, port } } } })

test.each<[string, unknown, string, boolean]>([
  ['by default on localhost:8888', {}, 'localhost:8888', true],
  ['where the pull reader says', { metrics: { readers: [reader('0.0.0.0', 9999)] } }, '0.0.0.0:9999', true],
  ['on an address of IPv6', { metrics: { readers: [reader('::1', 1)] } }, '[::1]:1', true],
  ['where the old key says', { metrics: { address: ':9999' } }, '0.0.0.0:9999', true],
  ['without metrics it still tells health', { metrics: { level: 'none' } }, 'localhost:8888', false],
  ['without readers too', { metrics: { level: 'none', readers: [] } }, 'localhost:8888', false],
])('the admin server listens %s', (_, config, endpoint, metrics) => {
  expect(own(config).admin).toEqual({ endpoint, metrics })
})

test.each<[string, unknown, string, object]>([
  ['info without anything', {}, '', { level: 'info', modules: {} }],
  [
    'of the configuration',
    { logs: { level: 'WARN', levels: { otlp: 'debug' } } },
    '',
    { level: 'warn', modules: { otlp: 'debug' } },
  ],
  [
    'of the environment before that',
    { logs: { level: 'warn', levels: { otlp: 'info', batch: 'error' } } },
    'error,otlp=debug',
    { level: 'error', modules: { otlp: 'debug', batch: 'error' } },
  ],
])('log levels are %s', (_, config, KYMO_LOG, expected) => {
  expect(own(config, { KYMO_LOG }).logs).toMatchObject(expected)
})

test('sampling can be turned off', () => {
  expect(own({}).logs.sampling).toMatchObject({ tick: 10_000, initial: 10, thereafter: 100 })
  expect(own({ logs: { sampling: { enabled: false } } }).logs.sampling).toBeUndefined()
})

test('what is asked for and not done is told', () => {
  expect(own({ metrics: { readers: [reader('a', 1), reader('b', 2)] } }).warnings.join()).toContain('one address')
  expect(own({ logs: { output_paths: ['stderr', 'kymo.log'] } }).warnings.join()).toContain('kymo.log')
  expect(own({}).warnings).toEqual([])
})

const exporter = { otlp: { endpoint: 'http://x:4318' } }

test('what is sent, and where, follows from readers and processors', () => {
  const { exports } = own({
    metrics: { readers: [{ periodic: { interval: 1000, exporter } }] },
    traces: { processors: [{ batch: { exporter, max_queue_size: 10, max_export_batch_size: 5 } }] },
    logs: { processors: [{ simple: { exporter } }] },
  })
  expect(exports).toMatchObject([
    { signal: 'metrics', interval: 1000, timeout: 30_000, destination: { endpoint: 'http://x:4318' } },
    { signal: 'traces', interval: 5000, most: 5, room: 10 },
    { signal: 'logs', interval: 50 },
  ])
  expect(own({}).exports).toEqual([])
})

test.each([
  ['metrics', { metrics: { level: 'none', readers: [{ periodic: { exporter } }] } }],
  ['spans', { traces: { level: 'none', processors: [{ batch: { exporter } }] } }],
])('with level none no %s are sent', (_, config) => {
  expect(own(config).exports).toEqual([])
})

test.each<[string, unknown, object]>([
  ['a few by default', {}, { ratio: 0.01, perSecond: 50 }],
  ['as many as the sampler says', { traces: { sampler: { always_on: {} } } }, { ratio: 1, perSecond: 1000 }],
  ['none with level none', { traces: { level: 'none', sampler: { always_on: {} } } }, { ratio: 0, perSecond: 0 }],
])('batches are traced: %s', (_, config, expected) => {
  expect(own(config).sampling).toEqual(expected)
})

test('the resource has its defaults, which a configuration changes or leaves out', () => {
  expect(own({}).resource).toEqual({
    'service.name': 'kymo',
    'service.version': '1.2.3',
    'service.instance.id': expect.stringMatching(/^[0-9a-f-]{36}$/),
  })
  const resource = { 'service.name': 'edge', 'service.instance.id': null, attributes: [{ name: 'zone', value: 'a' }] }
  expect(own({ resource }).resource).toEqual({ 'service.name': 'edge', 'service.version': '1.2.3', zone: 'a' })
})

test('a level that is none names the variable', () => {
  expect(() => own({}, { KYMO_LOG: 'loud' })).toThrow(/KYMO_LOG.*`loud`/)
})

test.each<[string, AdminOptions, NodeJS.ProcessEnv, object]>([
  ['where metrics are, unless said', {}, {}, { apart: undefined, names: [] }],
  ['on the socket of the command line', { admin: 'unix:/a' }, { KYMO_ADMIN: 'unix:/b' }, { apart: 'unix:/a' }],
  ['on an address of its own', { admin: '127.0.0.1:8889' }, {}, { apart: '127.0.0.1:8889' }],
  ['on the socket that commands ask', {}, { KYMO_ADMIN: 'unix:/b' }, { apart: 'unix:/b' }],
  ['not on an address that commands ask', {}, { KYMO_ADMIN: 'http://prod:8888' }, { apart: undefined }],
  ['under the names of the list', { adminHost: ['a', '', 'b'] }, {}, { names: ['a', 'b'] }],
])('the admin server listens %s', (_, options, env, expected) => {
  expect(adminPlace(options, env)).toMatchObject(expected)
})

test.each(['nowhere', 'unix:', 'http://localhost:8888'])('the admin server cannot listen on `%s`', admin => {
  expect(() => adminPlace({ admin }, {})).toThrow(`--admin ${admin} is no place to listen; write \`unix:PATH\``)
})
