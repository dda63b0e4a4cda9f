import { expect, test } from 'vitest'
import { differencesOf } from '../../config/diff.ts'
import { around, load } from './toys.ts'

const between = (before: string, after: string, env: NodeJS.ProcessEnv = {}) =>
  differencesOf(load(around(before), { env }), load(around(after), { env }))

const exporters = (config: string) => `exporters: {debug: , otlp_grpc: ${config}}`

test.each([
  ['a default that is written', exporters('{endpoint: a}'), exporters('{endpoint: a, timeout: 5s, compression: gzip}')],
  ['a reference and what it refers to', exporters('{endpoint: "${env:A}"}'), exporters('{endpoint: value}')],
  ['null and nothing', exporters('{endpoint: a, tls: }'), exporters('{endpoint: a}')],
  ['another order of keys', 'processors: {any: {a: 1, b: 2}, batch: }', 'processors: {batch: , any: {b: 2, a: 1}}'],
])('%s make no difference', (_, before, after) => {
  expect(between(before, after, { A: 'value' })).toEqual([])
  expect(between(after, before, { A: 'value' })).toEqual([])
})

test('components that come and go are told as wholes, in the order of a file', () => {
  expect(between('processors: {any: {a: 1}}', 'exporters: {debug: , debug/2: }\nprocessors: {batch: }')).toEqual([
    { path: 'processors::any', change: 'removed', keys: [] },
    { path: 'processors::batch', change: 'added', keys: [] },
    { path: 'exporters::debug/2', change: 'added', keys: [] },
  ])
})

test('of a component that changed, each value is told, as it is in effect', () => {
  const before = exporters('{endpoint: a, timeout: 1s}')
  const after = exporters('{endpoint: a, sending_queue: {batch: {}}}')
  const [difference, ...others] = between(before, after)
  expect(others).toEqual([])
  expect(difference).toMatchObject({ path: 'exporters::otlp_grpc', change: 'changed' })
  expect(difference.keys).toEqual([
    { key: 'timeout', before: '1s', after: '5s', secret: false },
    { key: 'sending_queue::batch::flush_timeout', before: undefined, after: '200ms', secret: false },
    { key: 'sending_queue::batch::min_size', before: undefined, after: 8192, secret: false },
    { key: 'sending_queue::batch::max_size', before: undefined, after: 0, secret: false },
    { key: 'sending_queue::batch::partition::metadata_keys', before: undefined, after: [], secret: false },
  ])
})

test('a secret that changed is told without its values', () => {
  const made = between(
    exporters('{endpoint: a, headers: {k: hunter2}}'),
    exporters('{endpoint: a, headers: {k: swordfish}}'),
  )
  expect(made[0].keys).toEqual([{ key: 'headers::k', before: '[REDACTED]', after: '[REDACTED]', secret: true }])
})

test('a secret that did not change is not told', () => {
  const config = exporters('{endpoint: a, headers: {k: hunter2}}')
  expect(between(config, config)).toEqual([])
})

test('pipelines and telemetry are parts of their own', () => {
  const before = 'processors: {any: , batch: }\nexporters: {debug: }'
  const pipeline = (processors: string) =>
    `${before}\nservice::telemetry::logs::level: ${processors === 'any' ? 'info' : 'warn'}\nservice::pipelines::logs: {receivers: [otlp], processors: [${processors}], exporters: [debug]}`
  expect(between(pipeline('any'), pipeline('batch, any'))).toEqual([
    {
      path: 'service::telemetry',
      change: 'changed',
      keys: [{ key: 'logs::level', before: 'info', after: 'warn', secret: false }],
    },
    {
      path: 'service::pipelines::logs',
      change: 'changed',
      keys: [{ key: 'processors', before: ['any'], after: ['batch', 'any'], secret: false }],
    },
  ])
})
