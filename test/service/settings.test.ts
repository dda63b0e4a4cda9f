import { expect, test } from 'vitest'
import { ownTelemetry } from '../../service/settings.ts'
import { telemetryConfig } from '../../telemetry/config.ts'

const own = (config: unknown, env: NodeJS.ProcessEnv = {}) => ownTelemetry(telemetryConfig.parse(config), env)
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
  const periodic = { periodic: { exporter: { otlp: { endpoint: 'x' } } } }
  expect(own({ metrics: { readers: [periodic] } }).warnings.join()).toContain('periodic')
  expect(own({ metrics: { readers: [reader('a', 1), reader('b', 2)] } }).warnings.join()).toContain('one address')
  expect(own({ logs: { output_paths: ['stderr', 'kymo.log'] } }).warnings.join()).toContain('kymo.log')
  expect(own({}).warnings).toEqual([])
})

test('a level that is none names the variable', () => {
  expect(() => own({}, { KYMO_LOG: 'loud' })).toThrow(/KYMO_LOG.*`loud`/)
})
