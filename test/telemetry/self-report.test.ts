import { expect, test } from 'vitest'
import { createLogger } from '../../telemetry/logger.ts'
import { SelfReport } from '../../telemetry/self-report.ts'
import { decode } from '../support/otlp.ts'

const sink = { write() {}, flush() {} }

function listening(way: 'inside' | 'outside') {
  const report = new SelfReport({}, '1.2.3')
  report.quiet = new Set(['exporter sink', 'receiver internal'])
  const bodies: unknown[] = []
  const items: Buffer[] = []
  const end = report.onLog(item => {
    items.push(item)
    bodies.push((decode('LogRecord', item)['body'] as { string_value: string }).string_value)
  }, way)
  const log = createLogger({ level: 'info', encoding: 'json', modules: {} }, sink, report)
  return { log, bodies, items, end, report }
}

test('lines of the log are handed on with module, level and fields, as they are written', () => {
  const { log, items, bodies, end } = listening('outside')
  log
    .child('otlp/2', { kind: 'receiver' })
    .child('door')
    .warn({ items: 3, error: new Error('gone'), nested: { a: 1 } }, 'no room')
  log.debug({}, 'not written')
  end()
  log.info({}, 'nobody listens')
  expect(bodies).toEqual(['no room'])
  const { severity_text, attributes } = decode('LogRecord', items[0])
  expect(severity_text).toBe('WARN')
  expect(attributes).toEqual([
    { key: 'module', value: { string_value: 'otlp/2.door' } },
    { key: 'kind', value: { string_value: 'receiver' } },
    { key: 'items', value: { int_value: '3' } },
    { key: 'error', value: { string_value: expect.stringMatching(/^Error: gone\n/) } },
    { key: 'nested', value: { string_value: '{"a":1}' } },
  ])
})

test('what components of its own pipelines log stays out of these, and goes elsewhere', () => {
  const lines = (log: ReturnType<typeof listening>['log']) => {
    log.child('sink', { kind: 'exporter' }).error({}, 'rejected')
    log.child('sink', { kind: 'exporter' }).child('tls').error({}, 'of a part of it')
    log.child('service').warn({ kind: 'exporter', id: 'sink' }, 'state of it')
    log.child('sink', { kind: 'receiver' }).error({}, 'of another kind')
    log.child('service').info({}, 'ready')
    log.child('telemetry').warn({}, 'about the telling')
  }
  const inside = listening('inside')
  lines(inside.log)
  expect(inside.bodies).toEqual(['of another kind', 'ready'])
  const outside = listening('outside')
  lines(outside.log)
  expect(outside.bodies).toEqual(['rejected', 'of a part of it', 'state of it', 'of another kind', 'ready'])
})
