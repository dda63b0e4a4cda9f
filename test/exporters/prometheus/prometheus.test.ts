import { Agent, request } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { type Clock, GuardedClock, machineClock } from '../../../core/clock.ts'
import type { Exporter } from '../../../core/component.ts'
import { Host } from '../../../core/host.ts'
import { silent } from '../../../core/logger.ts'
import { Status } from '../../../core/status.ts'
import { prometheus } from '../../../exporters/prometheus/prometheus.ts'
import { Listeners, listenersKey } from '../../../net/listeners.ts'
import { MovableClock } from '../../support/clock.ts'
import { batchOf, complaints, forever } from '../../support/exporting.ts'
import { attributes, metricsRequest } from '../../support/prometheus-page.ts'
import { componentContext } from '../../support/contexts.ts'

const running: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of running.splice(0).toReversed()) await stop()
})

/** A process with ports. */
function processOf() {
  const listeners = new Listeners()
  running.push(() => listeners.close())
  return { listeners, host: new Host().provide(listenersKey, listeners) }
}

async function exporterIn(
  { host, clock = machineClock }: { host: Host; clock?: Clock },
  settings: object,
  id = 'prometheus',
  before?: Exporter,
) {
  const status = new Status()
  const warnings: object[] = []
  const log = { ...silent, warn: (fields: object) => void warnings.push(fields) }
  const config = prometheus.config.parse({ without_scope_info: true, ...settings })
  const signals = new Set(['metrics'] as const)
  const exporter = prometheus.create(config, { ...componentContext({ id, log, status, host, clock }), signals })
  if (before !== undefined) exporter.adopt?.(before.leave?.())
  status.set('Starting')
  await exporter.start?.()
  status.set('OK')
  let isStopped = false
  const stop = async () => {
    if (!isStopped) await exporter.stop?.()
    isStopped = true
  }
  running.push(stop)
  return { exporter, status, warnings, stop }
}

interface Answer {
  readonly status: number | undefined
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: Buffer
}

const get = (port: number, path = '/metrics', headers: Record<string, string> = {}, agent?: Agent) =>
  new Promise<Answer>((resolve, reject) => {
    request({ port, path, headers, agent }, response => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }),
      )
    })
      .on('error', reject)
      .end()
  })

/** A port that is free, most likely. */
async function freePort(): Promise<number> {
  const listeners = new Listeners()
  const { port } = await listeners.listen('127.0.0.1:0', socket => socket.destroy(), 'test')
  await listeners.close()
  return port
}

const deltas = (value: number, second: number) =>
  batchOf(
    metricsRequest([
      {
        name: 'c',
        sum: {
          data_points: [{ as_int: value, time_unix_nano: `${second}000000000`, attributes: attributes({ a: 'b' }) }],
          aggregation_temporality: 1,
          is_monotonic: true,
        },
      },
    ]),
    'metrics',
  )

test('the page is served at /metrics, and nothing else is', async () => {
  const port = await freePort()
  const { exporter } = await exporterIn(processOf(), { endpoint: `127.0.0.1:${port}` })
  expect(await get(port)).toMatchObject({ status: 200, body: Buffer.alloc(0) })
  expect(await exporter.send(deltas(3, 1), forever)).toBeUndefined()
  const { status, headers, body } = await get(port)
  expect(status).toBe(200)
  expect(headers).toMatchObject({
    'content-type': 'text/plain; version=0.0.4; charset=utf-8',
    vary: 'Accept, Accept-Encoding',
  })
  expect(headers['content-encoding']).toBeUndefined()
  expect(body.toString()).toBe('# TYPE c_total counter\nc_total{a="b"} 3\n')
  expect((await get(port, '/')).status).toBe(404)
})

test('the page is compressed for who takes it so', async () => {
  const port = await freePort()
  const { exporter } = await exporterIn(processOf(), { endpoint: `127.0.0.1:${port}` })
  await exporter.send(deltas(3, 1), forever)
  const { headers, body } = await get(port, '/metrics', { 'accept-encoding': 'gzip' })
  expect(headers['content-encoding']).toBe('gzip')
  expect(gunzipSync(body).toString()).toContain('c_total{a="b"} 3\n')
})

test.each([
  [false, 'text/plain; version=0.0.4; charset=utf-8'],
  [true, 'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores'],
])('with `enable_open_metrics: %s` the answer is %s', async (enable_open_metrics, type) => {
  const port = await freePort()
  await exporterIn(processOf(), { endpoint: `127.0.0.1:${port}`, enable_open_metrics })
  const accept = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5'
  expect((await get(port, '/metrics', { accept })).headers['content-type']).toBe(type)
})

test('many readers at once each get the whole page', async () => {
  const port = await freePort()
  const { exporter } = await exporterIn(processOf(), { endpoint: `127.0.0.1:${port}` })
  const points = Array.from({ length: 20_000 }, (_, i) => ({ as_int: i, attributes: attributes({ i: String(i) }) }))
  await exporter.send(batchOf(metricsRequest([{ name: 'g', gauge: { data_points: points } }]), 'metrics'), forever)
  const encodings = [{}, { 'accept-encoding': 'gzip' }]
  const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => get(port, '/metrics', encodings[i % 2])))
  const bodies = answers.map(({ headers, body }) => (headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body))
  for (const body of bodies) expect(body.toString().split('\n')).toHaveLength(20_002)
})

test('a large batch is taken in turns, and one that comes meanwhile after it', async () => {
  const port = await freePort()
  const { exporter } = await exporterIn(processOf(), { endpoint: `127.0.0.1:${port}` })
  const pointOf = (i: number, value: number) => ({ as_int: value, attributes: attributes({ i: String(i) }) })
  const send = (...data_points: object[]) =>
    exporter.send(batchOf(metricsRequest([{ name: 'g', gauge: { data_points } }]), 'metrics'), forever)
  const order: string[] = []
  const ended = [
    send(...Array.from({ length: 40_000 }, (_, i) => pointOf(i, 1))).then(() => order.push('large')),
    send(pointOf(39_999, 2)).then(() => order.push('small')),
  ]
  setImmediate(() => order.push('others'))
  await Promise.all(ended)
  expect(order).toEqual(['others', 'large', 'small'])
  expect((await get(port)).body.toString()).toContain('g{i="39999"} 2\n')
})

test('what is not on the page is told in status and log, once', async () => {
  const { exporter, status, warnings } = await exporterIn(processOf(), { endpoint: '127.0.0.1:0' })
  const falling = batchOf(
    metricsRequest([{ name: 'c', sum: { data_points: [{}], aggregation_temporality: 1 } }]),
    'metrics',
  )
  for (let i = 0; i < 3; i++) expect(await exporter.send(falling, forever)).toMatchObject({ rejected: 1 })
  expect(warnings).toHaveLength(1)
  expect(status.lastError).toMatch(/`c` is a delta of a sum that also falls/)
})

test.each<[string, object, string]>([
  ['goes on with the table where the page looks otherwise', { send_timestamps: true }, 'c_total{a="b"} 10 5000\n'],
  ['goes on with the table at another expiration', { metric_expiration: '1h' }, 'c_total{a="b"} 10\n'],
  ['begins anew where the names are others', { namespace: 'ns' }, 'ns_c_total{a="b"} 7\n'],
])('an exporter that is configured anew %s, and the port stays open', async (_row, more, expected) => {
  const port = await freePort()
  const own = processOf()
  const endpoint = `127.0.0.1:${port}`
  const before = await exporterIn(own, { endpoint })
  await before.exporter.send(deltas(3, 1), forever)
  own.listeners.stage(new Set(['prometheus']))
  const after = await exporterIn(own, { endpoint, ...more }, 'prometheus', before.exporter)
  own.listeners.commit()
  await before.stop()
  await after.exporter.send(deltas(7, 5), forever)
  expect((await get(port)).body.toString()).toContain(expected)
})

test('a scraper that keeps its connection over a reload gets one more page on it, and hears that it is the last', async () => {
  const port = await freePort()
  const own = processOf()
  const endpoint = `127.0.0.1:${port}`
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  running.push(() => agent.destroy())
  const before = await exporterIn(own, { endpoint })
  await before.exporter.send(deltas(3, 1), forever)
  expect((await get(port, '/metrics', {}, agent)).headers['connection']).toBe('keep-alive')
  own.listeners.stage(new Set(['prometheus']))
  const after = await exporterIn(own, { endpoint, namespace: 'ns' }, 'prometheus', before.exporter)
  own.listeners.commit()
  await after.exporter.send(deltas(7, 5), forever)
  const stopped = before.stop()
  const last = await get(port, '/metrics', {}, agent)
  expect([last.headers['connection'], String(last.body)]).toEqual([
    'close',
    expect.stringContaining('c_total{a="b"} 3\n'),
  ])
  await stopped
  const next = await get(port, '/metrics', {}, agent)
  expect([next.headers['connection'], String(next.body)]).toEqual([
    'keep-alive',
    expect.stringContaining('ns_c_total{a="b"} 7\n'),
  ])
})

test('an exporter that was away begins anew', async () => {
  const port = await freePort()
  const own = processOf()
  const first = await exporterIn(own, { endpoint: `127.0.0.1:${port}` })
  await first.exporter.send(deltas(3, 1), forever)
  await first.stop()
  await exporterIn(own, { endpoint: `127.0.0.1:${port}` })
  expect((await get(port)).body.toString()).toBe('')
})

test('two exporters have a table each', async () => {
  const [port, other] = [await freePort(), await freePort()]
  const own = processOf()
  const { exporter } = await exporterIn(own, { endpoint: `127.0.0.1:${port}` })
  await exporterIn(own, { endpoint: `127.0.0.1:${other}` }, 'prometheus/2')
  await exporter.send(deltas(3, 1), forever)
  expect((await get(other)).body.toString()).toBe('')
})

test.each<[string, object, string[]]>([
  [
    'no endpoint',
    {},
    ['endpoint: `endpoint` is missing; write where Prometheus shall scrape, such as `endpoint: 0.0.0.0:8889`'],
  ],
  ['no address', { endpoint: 'x' }, ['endpoint: `x` is no address; write it as `host:port`']],
  [
    "all of the Collector's keys",
    {
      endpoint: '1.2.3.4:1234',
      tls: { cert_file: 'server.crt', key_file: 'server.key', client_ca_file: 'ca.crt' },
      namespace: 'test-space',
      const_labels: { label1: 'value1', 'another label': 'spaced value' },
      send_timestamps: true,
      metric_expiration: '60m',
      enable_open_metrics: true,
      without_scope_info: true,
      add_metric_suffixes: false,
      translation_strategy: 'NoUTF8EscapingWithSuffixes',
      resource_to_telemetry_conversion: { enabled: true, exclude_service_attributes: true },
      resource_constant_labels: { included: ['service*'], excluded: ['service.instance.id'] },
      sending_queue: { enabled: true },
      read_timeout: '10s',
      idle_timeout: '1m',
      response_headers: { 'x-a': 'b' },
    },
    [],
  ],
])('configuration: %s', (_row, config, expected) => {
  expect(complaints(prometheus, config)).toEqual(expected)
})

test('what is not heard of any more leaves the page, by a clock that nobody sets', async () => {
  const clock = new MovableClock()
  const [port, { host }] = [await freePort(), processOf()]
  const { exporter, stop } = await exporterIn(
    { host, clock },
    { endpoint: `127.0.0.1:${port}`, metric_expiration: '1m' },
  )
  await exporter.send(deltas(1, 1), forever)
  await clock.advance(60_000)
  const before = String((await get(port)).body)
  await clock.advance(1)
  const after = String((await get(port)).body)
  expect([before, after].map(text => text.includes('c_total'))).toEqual([true, false])
  await stop()
  expect(clock.timers).toBe(0)
})

test('a page that is being made when the exporter stops is still answered, in turns', async () => {
  let now = 0
  let turns = 0
  const begun = Promise.withResolvers<void>()
  const busy: Clock = {
    ...machineClock,
    // Each look at it takes longer than a turn may.
    now: () => (now += 10),
    soon(work) {
      turns++
      begun.resolve()
      return machineClock.soon(work)
    },
  }
  const clock = new GuardedClock(busy, error => expect.fail(String(error)))
  const [port, { host }] = [await freePort(), processOf()]
  const { exporter, stop } = await exporterIn({ host, clock }, { endpoint: `127.0.0.1:${port}` })
  const points = Array.from({ length: 20_000 }, (_, i) => ({
    as_int: '1',
    time_unix_nano: '1',
    attributes: attributes({ i: String(i) }),
  }))
  await exporter.send(batchOf(metricsRequest([{ name: 'many', gauge: { data_points: points } }]), 'metrics'), forever)
  const answer = get(port)
  await begun.promise
  await stop()
  clock.stop()
  const { status, body } = await answer
  expect([status, String(body).match(/^many\{/gm)?.length]).toEqual([200, 20_000])
  expect(turns).toBeGreaterThan(3)
})
