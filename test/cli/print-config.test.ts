import { expect, test } from 'vitest'
import { rendered } from '../../cli/print-config.ts'
import { effectiveOf } from '../../config/effective.ts'
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
