import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { rendered } from '../../cli/print-config.ts'
import { effectiveOf } from '../../config/effective.ts'
import type { Secret } from '../../core/fields.ts'
import { around, load } from '../config/toys.ts'

const root = effectiveOf(
  load(around('exporters: {debug: , otlp_grpc: {endpoint: x, headers: {a: hunter2}, tls: {insecure: true}}}')),
)

test('secrets are not printed, in either format, with or without origins', () => {
  for (const format of ['yaml', 'json'] as const) {
    for (const origin of [false, true]) {
      const text = rendered(root, { format, origin, mode: 'redacted' })
      expect(text).toContain('[REDACTED]')
      expect(text).not.toContain('hunter2')
    }
  }
})

test('they are when that is asked for', () => {
  expect(rendered(root, { format: 'yaml', mode: 'unredacted' })).toContain('a: hunter2')
})

test('in YAML the origin stands behind each value', () => {
  const lines = rendered(root, { format: 'yaml', origin: true, mode: 'redacted' }).split('\n')
  expect(lines).toContain('    endpoint: x # --config[0]:4:44')
  expect(lines).toContain('    timeout: 5s # default')
  expect(lines).toContain('  extensions: [] # default')
  expect(lines).toContain('        - otlp # --config[0]:3:44')
})

test('in JSON the origins stand beside the configuration, by path', () => {
  const made = JSON.parse(rendered(root, { format: 'yaml', json: true, origin: true, mode: 'redacted' })) as {
    config: { exporters: { otlp_grpc: object } }
    origins: Record<string, string>
  }
  expect(made.config.exporters.otlp_grpc).toMatchObject({ endpoint: 'x', timeout: '5s', tls: { insecure: true } })
  expect(made.origins).toMatchObject({
    'exporters::otlp_grpc::endpoint': '--config[0]:4:44',
    'exporters::otlp_grpc::timeout': 'default',
    'service::pipelines::traces::receivers::0': '--config[0]:3:44',
  })
})

/** Texts in which `$` and braces meet in every way. */
const dollars = fc
  .array(fc.constantFrom('$', '$$', '{', '}', '${', 'env:A', 'x', ':-', ' ', '#', "'", '0'), { maxLength: 8 })
  .map(parts => parts.join(''))

test.each(['yaml', 'json'] as const)('what is printed as %s means the same when it is loaded again', format => {
  fc.assert(
    fc.property(dollars, dollars, dollars, fc.boolean(), (endpoint, header, value, origin) => {
      // Written with every `$` doubled, a text is read as it is.
      const config = JSON.stringify({
        receivers: { otlp: { protocols: { grpc: {} } } },
        processors: { any: { list: [value, { deep: value }] } },
        exporters: { otlp_grpc: { endpoint: `e${endpoint}`, headers: { a: header } } },
        service: { pipelines: { traces: { receivers: ['otlp'], processors: ['any'], exporters: ['otlp_grpc'] } } },
      }).replaceAll('$', () => '$$')
      const first = load(config)
      expect(first.document).toMatchObject({ processors: { any: { list: [value, { deep: value }] } } })
      const text = rendered(effectiveOf(first), { format, origin: origin && format === 'yaml', mode: 'unredacted' })
      const second = load(text)
      expect(second.configured).toEqual(first.configured)
      expect(second.telemetry).toEqual(first.telemetry)
      const exporter = second.configured.exporters.get('otlp_grpc')?.config as { headers: { a: Secret } }
      expect(exporter.headers.a.reveal()).toBe(header)
    }),
    { numRuns: 200 },
  )
})

test('a `$` that can only mean itself stays as it is', () => {
  const root = effectiveOf(load(around('processors: {any: {pattern: "^a$", price: "$5", escaped: "$${x}"}}')))
  const text = rendered(root, { format: 'yaml', mode: 'redacted' })
  expect(text).toContain('pattern: ^a$\n')
  expect(text).toContain('price: $5\n')
  expect(text).toContain('escaped: $${x}\n')
})
