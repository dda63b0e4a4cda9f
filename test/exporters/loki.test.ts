import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { loki } from '../../exporters/loki/loki.ts'
import { encodeStatus } from '../../proto/status.ts'
import { batchOf, complaints, exporterOf, forever, refusal } from '../support/exporting.ts'
import { toyGraph } from '../support/graph.ts'
import { readPushJson } from '../support/loki-push.ts'
import { against, linesOf, logs, pushed, server } from '../support/loki-server.ts'

const request = logs([{ 'service.name': 'shop', 'host.name': 'h1' }, ['one', 'two']])
const batch = () => batchOf(request, 'logs')
test('by default lines are pushed in protobuf, as one block of snappy', async () => {
  const { exporter, seen, budget } = await against({})
  expect(await exporter.send(batch(), forever)).toBeUndefined()
  const [{ url, headers }] = seen
  expect(url).toBe('/loki/api/v1/push')
  expect(headers['content-type']).toBe('application/x-protobuf')
  // Other servers with this API would take it for a second compression.
  expect(headers).not.toHaveProperty('content-encoding')
  expect(headers).not.toHaveProperty('x-scope-orgid')
  expect(pushed(seen[0])).toEqual({
    '{"service_name":"shop"}': [
      { time: 1767225600000000001n, line: 'one', metadata: [['host_name', 'h1']] },
      { time: 1767225600000000001n, line: 'two', metadata: [['host_name', 'h1']] },
    ],
  })
  expect(budget.inFlight).toBe(0)
})

test.each([
  ['gzip by default', {}, 'gzip', (body: Buffer) => gunzipSync(body)],
  ['nothing when asked for', { compression: 'none' }, undefined, (body: Buffer) => body],
])('a push in JSON has %s', async (_, more, encoding, plain) => {
  const { exporter, seen } = await against({}, { encoding: 'json', ...more })
  await exporter.send(batch(), forever)
  expect(seen[0].headers['content-type']).toBe('application/json')
  expect(seen[0].headers['content-encoding']).toBe(encoding)
  expect(linesOf(readPushJson(plain(seen[0].body)))).toEqual(['one', 'two'])
})

test('OTLP goes as it came', async () => {
  const { exporter, seen } = await against({}, { protocol: 'otlp' })
  expect(await exporter.send(batch(), forever)).toBeUndefined()
  expect(seen[0].url).toBe('/otlp/v1/logs')
  expect(seen[0].headers['content-encoding']).toBe('gzip')
  expect(gunzipSync(seen[0].body).toString('hex')).toBe(request.toString('hex'))
})

test.each([
  ['a base URL', '', {}, '/loki/api/v1/push'],
  ['a base URL with a path', '/logs/', {}, '/logs/loki/api/v1/push'],
  ["the removed exporter's URL", '/loki/api/v1/push', {}, '/loki/api/v1/push'],
  ['a push URL of another server', '/insert/loki/api/v1/push?x=1', {}, '/insert/loki/api/v1/push?x=1'],
  ['the base of OTLP', '/otlp', {}, '/otlp/v1/logs'],
  ['the whole of OTLP', '/otlp/v1/logs', {}, '/otlp/v1/logs'],
  ['a base URL, as OTLP', '/x', { protocol: 'otlp' }, '/x/otlp/v1/logs'],
])('%s is completed', async (_, path, more, expected) => {
  const { exporter, seen } = await against({}, url => ({ endpoint: url + path, ...more }))
  await exporter.send(batch(), forever)
  expect(seen[0].url).toBe(expected)
})

test('the attributes that are labels by default are those of Loki without the two it advises against', async () => {
  const fromLoki =
    'service.name service.namespace deployment.environment deployment.environment.name cloud.region cloud.availability_zone k8s.cluster.name k8s.namespace.name k8s.container.name container.name k8s.replicaset.name k8s.deployment.name k8s.statefulset.name k8s.daemonset.name k8s.cronjob.name k8s.job.name'.split(
      ' ',
    )
  const { exporter, seen } = await against({})
  for (const name of [...fromLoki, 'k8s.pod.name', 'service.instance.id', 'host.name']) {
    await exporter.send(batchOf(logs([{ [name]: 'v' }, ['x']]), 'logs'), forever)
    const [[labels, [{ metadata }]]] = Object.entries(pushed(seen[seen.length - 1]))
    const label = name.replaceAll('.', '_')
    expect(label in JSON.parse(labels), name).toBe(fromLoki.includes(name))
    expect(metadata).toEqual(fromLoki.includes(name) ? [] : [[label, 'v']])
  }
})

const said = { headers: { 'content-type': 'text/plain; charset=utf-8' }, body: 'because of reasons\n' }
const status = {
  headers: { 'content-type': 'application/octet-stream' },
  body: encodeStatus({ code: 0, message: 'because of reasons' }),
}

describe.each([
  ['push', {}, said, '/loki/api/v1/push'],
  ['otlp', { protocol: 'otlp' }, status, '/otlp/v1/logs'],
])('over %s', (_, config, answer, path) => {
  test.each([
    [260, 'DELIVERY_REJECTED', 'rejected', false],
    [400, 'DELIVERY_REJECTED', 'rejected', false],
    [401, 'DELIVERY_DENIED', 'denied', false],
    [403, 'DELIVERY_DENIED', 'denied', false],
    [404, 'DELIVERY_DENIED', 'denied', false],
    [413, 'DELIVERY_TOO_LARGE', 'too_large', false],
    [422, 'DELIVERY_REJECTED', 'rejected', false],
    [429, 'DELIVERY_BUSY', 'retry', true],
    [500, 'DELIVERY_BUSY', 'retry', true],
    [502, 'DELIVERY_BUSY', 'retry', true],
    [503, 'DELIVERY_BUSY', 'retry', true],
    [504, 'DELIVERY_BUSY', 'retry', true],
  ])('HTTP %i is %s: %s', async (code, name, kind, maybeTaken) => {
    const { exporter, url } = await against({ status: code, ...answer }, config)
    const error = await refusal(exporter.send(batch(), forever))
    expect(error).toMatchObject({ code: name, kind, maybeTaken, retryAfter: undefined })
    expect(error.message).toBe(`${url}${path}: HTTP ${code}: because of reasons`)
  })

  test('Retry-After is followed', async () => {
    const { exporter } = await against({ status: 429, headers: { 'retry-after': '3' } }, config)
    expect(await refusal(exporter.send(batch(), forever))).toMatchObject({ kind: 'retry', retryAfter: 3000 })
  })

  test.each([200, 202, 204])('HTTP %i is success', async code => {
    const { exporter } = await against({ status: code }, config)
    expect(await exporter.send(batch(), forever)).toBeUndefined()
  })
})

test('a plain text under OTLP is shown as it is', async () => {
  const { exporter } = await against({ status: 401, body: 'no org id\n' }, { protocol: 'otlp' })
  expect((await refusal(exporter.send(batch(), forever))).message).toMatch(/HTTP 401: no org id$/)
})

test('no answer is worth a retry', async () => {
  const { exporter } = exporterOf(loki, { endpoint: 'http://127.0.0.1:1' }, ['logs'])
  expect(await refusal(exporter.send(batch(), forever))).toMatchObject({ code: 'DELIVERY_UNREACHABLE', kind: 'retry' })
  await exporter.stop?.()
})

describe('records that Loki could not take', () => {
  const mixed = logs([{ 'service.name': 'shop' }, ['short', 'x'.repeat(100)]])

  test('are left out and counted, the others arrive', async () => {
    const { exporter, seen } = await against({}, { max_line_size: 50 })
    const sent = await exporter.send(batchOf(mixed, 'logs'), forever)
    expect(sent).toMatchObject({ rejected: 1, reasons: { line_too_long: 1 } })
    expect(sent?.message).toMatch(/`max_line_size` \(50\).*`oversize: truncate`/)
    expect(linesOf(pushed(seen[0]))).toEqual(['short'])
  })

  test('are cut, when asked for', async () => {
    const { exporter, seen } = await against({}, { max_line_size: 50, oversize: 'truncate' })
    expect(await exporter.send(batchOf(mixed, 'logs'), forever)).toBeUndefined()
    expect(linesOf(pushed(seen[0]))).toEqual(['short', `${'x'.repeat(29)} [cut from 100 bytes]`])
  })

  test('make no request, where there are no others', async () => {
    const { exporter, seen, budget } = await against({}, { max_line_size: 3 })
    expect(await exporter.send(batchOf(mixed, 'logs'), forever)).toMatchObject({ rejected: 2 })
    expect(seen).toEqual([])
    expect(budget.inFlight).toBe(0)
  })
})

test('a batch fits by what Loki counts: the attributes of a resource with each of its lines', async () => {
  const { exporter } = await against({}, { max_request_size: 3000 })
  const wide = { 'service.name': 'a', x: 'y'.repeat(1000) }
  expect(exporter.fits?.(batchOf(logs([wide, ['1']]), 'logs'))).toBe(true)
  expect(exporter.fits?.(batchOf(logs([wide, ['1', '2', '3']]), 'logs'))).toBe(false)
})

test('in a pipeline a bad line is split off by asking Loki, and the rest arrives', async () => {
  const { url, seen } = await server(one =>
    linesOf(pushed(one)).some(line => line.startsWith('old'))
      ? { status: 400, body: 'entry has timestamp too old' }
      : {},
  )
  const toy = await toyGraph({
    exporters: {},
    components: { loki: { definition: loki, config: { endpoint: url, sending_queue: { enabled: false } } } },
    pipelines: [{ id: 'logs', exporters: ['loki'] }],
  })
  const { outcome } = toy.push(logs([{ 'service.name': 'a' }, ['1', '2', 'old 3', '4']]), { signal: 'logs' })
  await outcome
  await toy.graph.stop(2000)
  const arrived = new Set(
    seen.filter(one => !linesOf(pushed(one)).includes('old 3')).flatMap(one => linesOf(pushed(one))),
  )
  expect([...arrived].toSorted()).toEqual(['1', '2', '4'])
  const books = toy.books.nodes.find(({ name }) => name.kind === 'exporter')
  expect(books?.delivered).toBe(3)
  expect(books?.rejected.of('rejected').value).toBe(1)
  expect(toy.books.faults()).toEqual([])
})

test.each<[string, object, string[]]>([
  ['no endpoint', {}, ['endpoint: `endpoint` is missing; write a URL, such as `endpoint: http://loki:3100`']],
  [
    'no scheme',
    { endpoint: 'loki:3100' },
    ['endpoint: `loki:3100` has no scheme; write a URL, such as `http://loki:3100`'],
  ],
  [
    'a path that goes with another protocol',
    { endpoint: 'http://x/otlp', protocol: 'push' },
    ['protocol: the endpoint is that of `otlp`; write its base URL, or no `protocol`'],
  ],
  [
    'a compression on top of snappy',
    { endpoint: 'http://x', compression: 'gzip' },
    ['compression: a push in protobuf is always snappy; remove `compression`'],
  ],
  [
    'zstd over push',
    { endpoint: 'http://x', encoding: 'json', compression: 'zstd' },
    ["compression: Loki's push API has no zstd; set `gzip`"],
  ],
  [
    'labels that Loki chooses',
    { endpoint: 'http://x/otlp', labels: { severity: true } },
    ['labels: Loki chooses the labels of what comes as OTLP; set `protocol: push`, or remove `labels`'],
  ],
  [
    'a tenant twice',
    { endpoint: 'http://x', tenant: 'a', headers: { 'x-scope-orgid': 'b' } },
    ['tenant: `headers` has `X-Scope-OrgID` as well; remove one of them'],
  ],
  [
    'a tenant that is none',
    { endpoint: 'http://x', tenant: { source: 'static', value: 'a|b' } },
    ["tenant.value: a tenant has up to 150 letters, digits and !-_.*'()"],
  ],
  [
    'a label that is none',
    { endpoint: 'http://x', labels: { static: { 'a.b': 'c' } } },
    ['labels.static.a.b: `a.b` is no label; write letters, digits and underscores'],
  ],
])('%s is an error of the configuration', (_, config, expected) => {
  expect(complaints(loki, config)).toEqual(expected)
})

test('a configuration of the exporter that the Collector had is taken', () => {
  const config = {
    endpoint: 'https://loki.example.com:3100/loki/api/v1/push',
    default_labels_enabled: { exporter: false, job: true },
    tls: { insecure_skip_verify: true },
    headers: { 'X-Custom-Header': 'loki_rocks' },
    sending_queue: { enabled: true, num_consumers: 2, queue_size: 10 },
    retry_on_failure: { enabled: true, initial_interval: '10s', max_interval: '60s', max_elapsed_time: '10m' },
  }
  expect(complaints(loki, config)).toEqual([])
})
