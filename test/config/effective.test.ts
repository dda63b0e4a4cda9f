import { globSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { components } from '../support/components.ts'
import { plainOf, readDocument, yamlOf } from '../../config/document.ts'
import { effectiveOf, filled } from '../../config/effective.ts'
import { sameValue } from '../../config/equal.ts'
import { type Loaded, loadConfig, type LoadOptions } from '../../config/load.ts'
import { originOf } from '../../config/place.ts'
import { Report } from '../../config/report.ts'
import { childOf, inputFor } from '../../config/shape.ts'
import type { Configured } from '../../core/configured.ts'
import { around, load } from './toys.ts'

const effective = (text: string, more: Partial<LoadOptions> = {}) => plainOf(effectiveOf(load(text, more)))

const exporter = (config: string, more?: Partial<LoadOptions>) => {
  const made = effective(around(`exporters: {debug: , otlp_grpc: ${config}}`), more) as {
    exporters: { otlp_grpc: Record<string, unknown> }
  }
  return made.exporters.otlp_grpc
}

test('defaults are filled in, as they would be written', () => {
  expect(exporter('{endpoint: "a:1", tls: {insecure: true}}')).toEqual({
    timeout: '5s',
    sending_queue: {
      enabled: true,
      num_consumers: 10,
      queue_size: 1000,
      sizer: 'requests',
      block_on_overflow: false,
      wait_for_result: false,
    },
    retry_on_failure: {
      enabled: true,
      initial_interval: '5s',
      randomization_factor: 0.5,
      multiplier: 1.5,
      max_interval: '30s',
      max_elapsed_time: '0s',
    },
    endpoint: 'a:1',
    tls: { insecure: true, ca_file: '', min_version: '1.2' },
    headers: {},
    compression: 'gzip',
  })
})

test.each<[string, string, string, unknown]>([
  ['a duration stays as it was written', '{endpoint: x, timeout: 90s}', 'timeout', '90s'],
  ['a number of nanoseconds is shown with its unit', '{endpoint: x, timeout: 1500000000}', 'timeout', '1.5s'],
  ['a null duration is what it means', '{endpoint: x, timeout: }', 'timeout', '0s'],
  [
    'a null section is its defaults',
    '{endpoint: x, tls: }',
    'tls',
    { insecure: false, ca_file: '', min_version: '1.2' },
  ],
  [
    'a section that only turns something on is its defaults',
    '{endpoint: x, sending_queue: {batch: {}}}',
    'sending_queue',
    {
      enabled: true,
      num_consumers: 10,
      queue_size: 1000,
      sizer: 'requests',
      block_on_overflow: false,
      wait_for_result: false,
      batch: { flush_timeout: '200ms', min_size: 8192, max_size: 0, partition: { metadata_keys: [] } },
    },
  ],
  ['a reference is what it refers to', '{endpoint: "${env:HOST}:1"}', 'endpoint', 'h:1'],
  ['a text is not made a number', '{endpoint: "${env:NUMBER}"}', 'endpoint', '0123'],
])('%s', (_, config, key, value) => {
  expect(exporter(config, { env: { HOST: 'h', NUMBER: '0123' } })[key]).toEqual(value)
})

test('a text that is split at commas is shown as the list it means, and lists of sections are filled in', () => {
  const text = around(`processors:
  batch: {metadata_keys: "a, b"}
  resource: {attributes: [{key: k, value: 1, action: insert}]}`)
  expect(effective(text)).toMatchObject({
    processors: {
      batch: { metadata_keys: ['a', 'b'], timeout: '200ms', send_batch_size: 8192 },
      resource: { attributes: [{ key: 'k', value: 1, action: 'insert' }] },
    },
  })
})

test('all of `service` is there, and nothing that is not configured', () => {
  expect(effective(around(''))).toEqual({
    receivers: {
      otlp: { protocols: { grpc: { endpoint: 'localhost:4317', max_recv_msg_size_mib: 64 } } },
    },
    exporters: { debug: expect.objectContaining({ verbosity: 'basic' }) },
    service: {
      telemetry: expect.objectContaining({ logs: expect.objectContaining({ level: 'info' }) }),
      extensions: [],
      pipelines: { traces: { receivers: ['otlp'], processors: [], exporters: ['debug'] } },
    },
  })
})

test('secrets are known as such, also those that came from a variable', () => {
  const text = around(
    'exporters: {debug: , otlp_grpc: {endpoint: x, headers: {a: "${env:TOKEN}"}}, otlp_http: {endpoint: y, pin: "${env:PIN}"}}',
  )
  const loaded = load(text, { env: { TOKEN: 'hunter2', PIN: '0123' } })
  expect(JSON.stringify(plainOf(effectiveOf(loaded), () => '[REDACTED]'))).not.toMatch(/hunter2|0123|83/)
  expect(JSON.stringify(plainOf(effectiveOf(loaded)))).toMatch(/hunter2.*"0123"/)
})

test('it is known where each value came from', () => {
  const text = around(`exporters:
  debug:
    verbosity: normal
  otlp_grpc:
    endpoint: "\${env:HOST:-x}:1"
    headers: {a: "\${env:TOKEN}"}`)
  const loaded = load(text, { env: { TOKEN: 'x' }, sets: ['exporters.otlp_grpc.timeout=1s'] })
  const root = effectiveOf(loaded)
  const origin = (...path: string[]) => {
    let node: ReturnType<typeof childOf> = root
    for (const key of path) node = childOf(node, key)
    return node === undefined ? undefined : originOf(node.place, { TOKEN: 'x' })
  }
  // `around` puts three lines in front.
  expect(origin('exporters', 'debug', 'verbosity')).toBe('--config[0]:6:16')
  expect(origin('exporters', 'debug', 'timeout')).toBe('default')
  expect(origin('exporters', 'debug', 'sending_queue', 'sizer')).toBe('default')
  expect(origin('exporters', 'otlp_grpc', 'endpoint')).toBe('env HOST, not set (--config[0]:8:15)')
  expect(origin('exporters', 'otlp_grpc', 'headers', 'a')).toBe('env TOKEN (--config[0]:9:19)')
  expect(origin('exporters', 'otlp_grpc', 'timeout')).toBe('--set exporters.otlp_grpc.timeout')
})

const same = (a: Configured, b: Configured) => {
  for (const kind of ['receivers', 'processors', 'exporters', 'connectors', 'extensions'] as const) {
    expect([...b[kind].keys()]).toEqual([...a[kind].keys()])
    for (const [id, { config }] of a[kind]) {
      expect(sameValue(config, b[kind].get(id)?.config), `${kind}::${id}`).toBe(true)
    }
  }
  expect(b.pipelines).toEqual(a.pipelines)
  expect(b.started).toEqual(a.started)
}

/** The effective configuration, written down and read again. */
const again = (loaded: Loaded): Loaded =>
  loadConfig({ components, env: {}, sources: [`yaml:${yamlOf(plainOf(effectiveOf(loaded)))}`] })

const root = join(import.meta.dirname, '../..')
const examples = globSync('examples/*.yaml', { cwd: root })

test.each(examples)('%s: what is printed means the same, and is printed the same', path => {
  const loaded = loadConfig({ components, env: {}, sources: [join(root, path)] })
  const second = again(loaded)
  same(loaded.configured, second.configured)
  expect(second.telemetry).toEqual(loaded.telemetry)
  expect(plainOf(effectiveOf(second))).toEqual(plainOf(effectiveOf(loaded)))
})

const cases = components.flatMap(definition =>
  definition.examples.map(
    ({ title, config }) => [`${definition.kind} ${definition.type}: ${title}`, definition.config, config] as const,
  ),
)

test.each(cases)('%s: filled in, it means the same', (_, schema, config) => {
  const read = (value: unknown) => readDocument({ name: 'test', text: yamlOf(value), order: 0 }, new Report())
  const node = read(config)
  const full = read(plainOf(filled(schema, node)))
  expect(node).toBeDefined()
  expect(full).toBeDefined()
  if (node === undefined || full === undefined) return
  const plain = z.parse(schema, inputFor(node, schema))
  expect(sameValue(z.parse(schema, inputFor(full, schema)), plain)).toBe(true)
  expect(plainOf(filled(schema, full))).toEqual(plainOf(full))
})

test('YAML that is written is read as the same values', () => {
  const tricky = {
    a: '0123',
    b: '1_000',
    c: 'yes',
    d: 'null',
    e: '0b11',
    f: '',
    g: ' x ',
    h: 'a: b',
    i: 1.5,
    j: [],
    k: {},
    l: 'a\nb\n',
    m: '~',
    n: '1e3',
  }
  const text = around(`processors: {any: ${JSON.stringify(tricky)}}`)
  expect(effective(text)).toMatchObject({ processors: { any: tricky } })
  const written = yamlOf(tricky, () => 'remark').replaceAll(/^/gm, '    ')
  expect(effective(around(`processors:\n  any:\n${written}`))).toMatchObject({ processors: { any: tricky } })
})
