import * as fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { Blocks } from '../../../backends/datadog/log-block.ts'
import { logEntries } from '../../../backends/datadog/logs.ts'
import { readRequest } from '../../../proto/request.ts'
import { batchOf, forever, refusal } from '../../support/exporting.ts'
import { attributes, logsRequest, run, type Run } from './datadog-runs.ts'
import { entryOf, type PlainValue } from './log-reference.ts'

const runs: Run[] = []
afterEach(async () => {
  for (const one of runs.splice(0)) await one.stop()
})
async function started(more: Readonly<Record<string, object | string | boolean>> = {}): Promise<Run> {
  const made = await run(more)
  runs.push(made)
  return made
}

/** The entry of one record, without what all have. */
async function entry(record: object, resource = {}, scope = {}): Promise<Record<string, unknown>> {
  const body = logsRequest([record], resource, scope)
  const { groups } = readRequest('logs', body)
  const [one] = JSON.parse(logEntries(groups, 100, new Blocks('gateway'), 1e6).body.toString()) as Record<
    string,
    unknown
  >[]
  return one
}

const trace = '5b8efff798038103d269b633813fc60c'
const span = 'eee19b7ec3c1b174'

test('a record of a pod has all that links it', async () => {
  const one = await started()
  const record = {
    time_unix_nano: '1800000000123456789',
    severity_number: 17,
    severity_text: 'Error',
    body: { string_value: 'it "failed"\n' },
    trace_id: Buffer.from(trace, 'hex'),
    span_id: Buffer.from(span, 'hex'),
    event_name: 'order.failed',
    attributes: attributes({ 'http.route': '/a', retry: true, size: 3, share: 0.5, none: null }),
  }
  const resource = {
    'service.name': 'shop',
    'service.version': '2',
    'deployment.environment.name': 'prod',
    'k8s.pod.name': 'shop-1',
    'k8s.node.name': 'n1',
  }
  const scope = { name: 'lib', attributes: attributes({ 'lib.kind': 'orm' }) }
  expect(await one.exporter.send(batchOf(logsRequest([record], resource, scope), 'logs'), forever)).toBeUndefined()
  expect(one.intake.logs).toEqual([
    {
      message: 'it "failed"\n',
      status: 'Error',
      hostname: 'n1',
      service: 'shop',
      ddsource: 'otlp_log_ingestion',
      ddtags: 'pod_name:shop-1,env:prod,service:shop,version:2',
      'dd.trace_id': BigInt(`0x${trace.slice(16)}`).toString(),
      'dd.span_id': BigInt(`0x${span}`).toString(),
      'otel.trace_id': trace,
      'otel.span_id': span,
      'otel.severity_text': 'Error',
      'otel.severity_number': '17',
      'otel.timestamp': '1800000000123456789',
      '@timestamp': '2027-01-15T08:00:00.123Z',
      'otel.event_name': 'order.failed',
      'http.route': '/a',
      retry: true,
      size: 3,
      share: 0.5,
      none: '',
      ...resource,
      'lib.kind': 'orm',
    },
  ])
  expect(one.intake.seen[0].headers).toMatchObject({ 'content-type': 'application/json', 'content-encoding': 'zstd' })
})

test.each([
  ['an attribute', { attributes: attributes({ Level: 'warning' }), severity_text: 'X', severity_number: 1 }, 'warning'],
  ['a number as an attribute', { attributes: attributes({ severity: 3 }) }, '3'],
  ['the text', { severity_text: 'Notice', severity_number: 9 }, 'Notice'],
  ['number 1', { severity_number: 1 }, 'trace'],
  ['number 4', { severity_number: 4 }, 'trace'],
  ['number 5', { severity_number: 5 }, 'debug'],
  ['number 12', { severity_number: 12 }, 'info'],
  ['number 16', { severity_number: 16 }, 'warn'],
  ['number 20', { severity_number: 20 }, 'error'],
  ['number 24', { severity_number: 24 }, 'fatal'],
  ['a number beyond all', { severity_number: 25 }, 'error'],
  ['nothing', {}, undefined],
])('the status comes from %s', async (_, record, status) => {
  expect((await entry(record))['status']).toBe(status)
})

test.each([
  ['an attribute', { body: { string_value: 'b' }, attributes: attributes({ msg: 'm' }) }, 'm'],
  [
    'the body where the attribute is empty',
    { body: { string_value: 'b' }, attributes: attributes({ message: '' }) },
    'b',
  ],
  ['a body that is a map', { body: { kvlist_value: { values: attributes({ b: [1], a: 'x' }) } } }, '{"a":"x","b":[1]}'],
  ['a body that is a number', { body: { int_value: '9007199254740993' } }, '9007199254740993'],
  ['nothing', {}, ''],
])('the message comes from %s', async (_, record, message) => {
  expect((await entry(record))['message']).toBe(message)
})

test.each([
  [
    'ids as attributes',
    attributes({ TraceId: trace.toUpperCase(), 'contextMap.spanId': span }),
    { 'dd.span_id': BigInt(`0x${span}`).toString(), 'otel.trace_id': trace.toUpperCase() },
  ],
  [
    'ids that are none',
    attributes({ trace_id: 'abc', spanid: 'z'.repeat(16) }),
    { trace_id: 'abc', spanid: 'z'.repeat(16), 'dd.trace_id': undefined },
  ],
  ['tags of its own', attributes({ ddtags: 'a:b,c' }), { ddtags: 'service:shop,a:b,c' }],
  ['a host and a service of its own', attributes({ hostname: 'h', service: 's' }), { hostname: 'h', service: 's' }],
  [
    'a source of its own',
    attributes({ 'datadog.log.source': 'nginx' }),
    { ddsource: 'nginx', 'datadog.log.source': 'nginx' },
  ],
  ['what the resource says as well', attributes({ 'service.name': 'other' }), { 'service.name': 'shop' }],
  ['a map', attributes({ a: { b: { c: 1 }, d: [{ e: { f: 2 } }] } }), { 'a.b.c': 1, 'a.d': [{ 'e.f': 2 }] }],
  ['a number of 64 bits', [{ key: 'n', value: { int_value: '-9223372036854775808' } }], { n: -9223372036854775808 }],
  ['no number', [{ key: 'n', value: { double_value: NaN } }], { n: 'NaN' }],
  ['bytes', attributes({ b: Buffer.from([1, 2, 255]) }), { b: 'AQL/' }],
])('a record with %s', async (_, list, expected) => {
  const one = await entry({ attributes: list }, { 'service.name': 'shop' })
  for (const [name, value] of Object.entries(expected)) expect(one[name], name).toEqual(value)
})

test('names of entries that a resource has are not lost', async () => {
  const one = await entry({}, { hostname: 'x', service: 'y', message: 'z' })
  expect(one).toMatchObject({
    hostname: 'gateway',
    'otel.hostname': 'x',
    'otel.service': 'y',
    'otel.message': 'z',
    message: '',
  })
})

test('maps are flattened ten levels deep; what is deeper is a text', async () => {
  let value: Record<string, unknown> = { end: 1 }
  for (let i = 0; i < 12; i++) value = { k: value }
  const one = await entry({ attributes: attributes({ a: value }) })
  const [name] = Object.keys(one).filter(key => key.startsWith('a.'))
  expect(name).toBe(`a${'.k'.repeat(9)}`)
  expect(one[name]).toBe('{"k":{"k":{"k":{"end":1}}}}')
})

const keys = fc.oneof(
  fc.constantFrom(
    'a',
    'a.b',
    'msg',
    'Status',
    'level',
    'ddtags',
    'trace_id',
    'otel.timestamp',
    'service',
    'hostname',
    'dd.span_id',
    'service.name',
  ),
  // What JavaScript itself makes of that name is not what is tested.
  fc.string({ maxLength: 12 }).filter(key => key !== '__proto__'),
)
const { value: values } = fc.letrec<{ value: PlainValue }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.constantFrom('', trace, 'x"\\\n\u0001é€😀', span),
    fc.integer(),
    fc.boolean(),
    fc.double().map(number => ({ double: number })),
    fc.uint8Array({ maxLength: 5 }),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 3, noNullPrototype: true }).map(map => ({ map })),
  ),
}))
const list = fc.uniqueArray(fc.tuple(keys, values), { selector: ([key]) => key, maxLength: 6 })
const record = fc.record(
  {
    time: fc.bigInt({ min: 0n, max: 2n ** 62n }),
    observed: fc.bigInt({ min: 0n, max: 2n ** 62n }),
    number: fc.integer({ min: 0, max: 30 }),
    severity: fc.constantFrom('', 'INFO', 'é"'),
    trace: fc.constantFrom('', trace, '0'.repeat(32)),
    span: fc.constantFrom('', span, '0'.repeat(16)),
    event: fc.constantFrom('', 'e'),
    body: values,
    attributes: list,
  },
  { noNullPrototype: true },
)

test('entries are what a slow and simple writer makes of the same records', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 4 }), list, list, (records, resource, scope) => {
      const { request, expected } = entryOf(records, resource, scope, 'gateway')
      const { groups } = readRequest('logs', request)
      const text = logEntries(groups, 16, new Blocks('gateway'), 1e7).body.toString()
      expect(JSON.parse(text)).toEqual(expected)
    }),
    { numRuns: 300 },
  )
})

test('a log of more than a megabyte is cut, with a mark, and the others are as they were', async () => {
  const one = await started()
  const long = 'é\n'.repeat(600_000)
  const records = [{ body: { string_value: long } }, { body: { string_value: 'short' } }]
  const sent = await one.exporter.send(batchOf(logsRequest(records), 'logs'), forever)
  expect(sent).toMatchObject({ rejected: 0, message: expect.stringContaining('1 of 2 logs') })
  const [first, second] = one.intake.logs
  expect(Buffer.byteLength(JSON.stringify(first))).toBeLessThanOrEqual(1_000_000)
  expect(Buffer.byteLength(JSON.stringify(first))).toBeGreaterThan(990_000)
  expect(first['message']).toMatch(/^(?:é\n)+é?\.\.\.TRUNCATED\.\.\.$/)
  expect(second['message']).toBe('short')
})

test('a log whose attributes are too large keeps their beginnings', async () => {
  const one = await started()
  const big = { attributes: attributes({ a: 'x'.repeat(2_000_000), b: 'kept' }), body: { string_value: 'm' } }
  await one.exporter.send(batchOf(logsRequest([big]), 'logs'), forever)
  expect(one.intake.logs[0]).toMatchObject({
    a: expect.stringMatching(/^x{900,}\.\.\.TRUNCATED\.\.\.$/),
    b: 'kept',
    message: 'm',
  })
})

test.each([
  ['a thousand records', 1000, 10, true],
  ['one more', 1001, 10, false],
  ['few records of many bytes', 10, 600_000, false],
])('%s in one request: %s', async (_, records, size, fits) => {
  const one = await started()
  const body = { string_value: 'x'.repeat(size) }
  const batch = batchOf(logsRequest(Array.from({ length: records }, () => ({ body }))), 'logs')
  expect(one.exporter.fits?.(batch)).toBe(fits)
})

test('what turns out too large is cut before it is sent', async () => {
  const one = await started()
  // Each byte takes six.
  const body = { string_value: '\u0001'.repeat(300_000) }
  const batch = batchOf(logsRequest([{ body }, { body }, { body }, { body }, { body }, { body }]), 'logs')
  expect(one.exporter.fits?.(batch)).toBe(true)
  const error = await refusal(one.exporter.send(batch, forever))
  expect(error.kind).toBe('too_large')
  expect(one.intake.seen).toEqual([])
})

test.each([
  [400, 'rejected'],
  [401, 'denied'],
  [403, 'denied'],
  [404, 'denied'],
  [408, 'retry'],
  [413, 'too_large'],
  [429, 'retry'],
  [500, 'retry'],
  [503, 'retry'],
])('answer %d: %s', async (status, kind) => {
  const one = await started()
  one.intake.answer = () => ({
    status,
    headers: { 'retry-after': '7' },
    body: '{"errors":[{"title":"No","detail":"way"}]}',
  })
  const error = await refusal(one.exporter.send(batchOf(logsRequest([{}]), 'logs'), forever))
  expect(error.kind).toBe(kind)
  expect(error.message).toContain('No: way')
  expect(error.retryAfter).toBe(kind === 'retry' ? 7000 : undefined)
})

test.each([
  ['the default', {}, 'zstd'],
  ['gzip', { compression: 'gzip' }, 'gzip'],
  ['gzip at a level', { compression: 'gzip', logs: { compression_level: 6 } }, 'gzip'],
  ['gzip at level 0', { compression: 'gzip', logs: { compression_level: 0 } }, undefined],
  ['none for logs', { logs: { use_compression: false } }, undefined],
])('compression: %s', async (_, more, encoding) => {
  const one = await started(more)
  await one.exporter.send(batchOf(logsRequest([{}]), 'logs'), forever)
  expect(one.intake.seen[0].headers['content-encoding']).toBe(encoding)
  expect(one.intake.logs).toHaveLength(1)
})

test('logs that cannot be read are refused, so that the bad one can be found', async () => {
  const one = await started()
  const body = logsRequest([{ severity_text: 'A' }])
  body[body.lastIndexOf(0x1a)] = 0x19
  const error = await refusal(one.exporter.send(batchOf(body, 'logs'), forever))
  expect(error.kind).toBe('rejected')
})
