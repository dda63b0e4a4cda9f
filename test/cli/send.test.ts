/** Somebody asks whether data gets through: a test item into a Kymo that runs, from the command line. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type AnySink, anySink } from '../support/any-sink.ts'
import { kymo as command, type Ran } from '../support/command.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'

const token = 'let-me-in-please'
const kymo = (args: readonly string[]) => command(args, { KYMO_ADMIN_TOKEN: token })

let running: KymoProcess
let admin = ''
let sink: AnySink
let strict: Server

/** Sends, once a second has gone by since the last. */
async function send(...args: string[]): Promise<Ran> {
  for (;;) {
    const ran = await kymo(['send', ...args, '--admin', admin])
    if (!ran.err.includes('less than a second')) return ran
  }
}

beforeAll(async () => {
  sink = await anySink('application/x-protobuf', '')
  strict = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(400).end('no such tenant'))
  })
  await new Promise<void>(resolve => strict.listen(0, '127.0.0.1', resolve))
  const config = `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:${await freePort()}'}}}}
processors: {namespace_filter: {}, batch: {timeout: 1h}}
connectors: {forward: {}}
exporters:
  nop: {}
  otlp_http/up: {endpoint: '${sink.url}', compression: none}
  otlp_http/strict: {endpoint: 'http://127.0.0.1:${(strict.address() as AddressInfo).port}'}
  otlp_http/down: {endpoint: 'http://127.0.0.1:1', retry_on_failure: {initial_interval: 1m, max_interval: 1m}}
service:
  telemetry: {logs: {encoding: json}, metrics: {readers: [{pull: {exporter: {prometheus: {port: 0}}}}]}}
  pipelines:
    logs: {receivers: [otlp], processors: [namespace_filter], exporters: [otlp_http/up]}
    logs/down: {receivers: [otlp], exporters: [nop, otlp_http/down]}
    logs/first: {receivers: [otlp], exporters: [forward]}
    logs/second: {receivers: [forward], processors: [namespace_filter], exporters: [nop]}
    traces: {receivers: [otlp], processors: [batch], exporters: [nop]}
    traces/up: {receivers: [otlp], exporters: [otlp_http/up]}
    metrics: {receivers: [otlp], exporters: [otlp_http/up, otlp_http/strict]}
`
  running = spawnKymo(['run', '--config', `yaml:${config}`], { KYMO_ADMIN_TOKEN: token })
  await running.until('"admin":"')
  admin = /"admin":"([^"]+)"/.exec(running.log())?.[1] ?? ''
})

afterAll(async () => {
  running.child.kill('SIGKILL')
  strict.closeAllConnections()
  strict.close()
  await Promise.all([running.ended, sink.close()])
})

test('a log record arrives, with its id, its service and what was said of it', async () => {
  const { code, out } = await send('logs', '--body', 'hello there', '--attribute', 'a=b=c', '--resource', 'team=shop')
  expect(out).toMatch(/^receiver send +received$/m)
  expect(out).toMatch(/^processor namespace_filter +logs +passed$/m)
  expect(out).toMatch(/^exporter otlp_http\/up +delivered after \S+$/m)
  expect(out).toMatch(/^every destination has it$/m)
  expect(code).toBe(0)
  const id = /kymo\.test\.id=([0-9a-f]{16}) /.exec(out)?.[1] ?? 'none'
  const got = sink.posted.find(({ body }) => body.includes(id))
  expect(got?.path).toBe('/v1/logs')
  for (const text of ['hello there', 'b=c', 'team', 'kymo.test.id', 'kymo-send'])
    expect(got?.body.includes(text)).toBe(true)
})

test('a service of another name takes the place of ours; a span has the name that was said', async () => {
  const { code, out } = await send('traces/up', '--resource', 'service.name=checkout', '--name', 'GET /cart')
  expect(code).toBe(0)
  const id = /kymo\.test\.id=([0-9a-f]{16}) /.exec(out)?.[1] ?? 'none'
  const got = sink.posted.find(({ body }) => body.includes(id))
  expect(got?.path).toBe('/v1/traces')
  expect(got?.body.includes('GET /cart') && got.body.includes('checkout')).toBe(true)
  expect(got?.body.includes('kymo-send')).toBe(false)
})

test('what a rule drops is told with the rule', async () => {
  const { code, out } = await send('logs', '--resource', 'k8s.namespace.name=kube-system')
  expect(out).toMatch(/^processor namespace_filter +logs +dropped by rule: namespace_system$/m)
  expect(out).toMatch(/^exporter otlp_http\/up +not reached$/m)
  expect(out).toMatch(/^dropped by rule by processor namespace_filter \(namespace_system\)/m)
  expect(code).toBe(1)
})

test('a destination that is away: who has it, who has not, and where to go on', async () => {
  const { code, out } = await send('logs/down', '--timeout', '1s')
  expect(out).toMatch(/^exporter nop +delivered after /m)
  expect(out).toMatch(
    /^exporter otlp_http\/down +waits to be tried again, 1 attempt failed: DELIVERY_UNREACHABLE: .*ECONNREFUSED/m,
  )
  const id = /^on its way: `kymo batches (\d+)` goes on from here$/m.exec(out)?.[1] ?? ''
  expect(code).toBe(1)
  const batch = await kymo(['batches', id, '--admin', admin])
  expect(batch.out).toMatch(/^batch \d+: 1 log records?, taken in by receiver send over send$/m)
})

test('a batch that is not full holds it', async () => {
  const { code, out } = await send('traces', '--timeout', '300ms')
  expect(out).toMatch(/^processor batch +traces +has it, and has not passed it on yet/m)
  expect(out).toMatch(/^exporter nop +not reached$/m)
  expect(out).toMatch(/^on its way: /m)
  expect(code).toBe(1)
})

test('of two destinations one rejects it: that is told, and with which answer', async () => {
  const { code, out } = await send('metrics', '--name', 'shop.orders', '--value', '2.5')
  expect(out).toMatch(/^exporter otlp_http\/up +delivered after /m)
  expect(out).toMatch(/^exporter otlp_http\/strict +rejected: .*no such tenant/m)
  expect(out).toMatch(/^not every destination has it/m)
  expect(code).toBe(1)
})

test('through a connector it is followed into the next pipeline; as JSON', async () => {
  const { code, out } = await send('logs/first', '--json')
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({
    pipeline: 'logs/first',
    end: 'delivered',
    steps: [
      { kind: 'receiver', component: 'send', state: 'received' },
      { kind: 'connector', component: 'forward', state: 'passed' },
      { kind: 'processor', component: 'namespace_filter', pipeline: 'logs/second', state: 'passed' },
      { kind: 'exporter', component: 'nop', state: 'delivered' },
    ],
    batch: { receiver: 'send', signal: 'logs', items: 1, answer: 'success' },
  })
})

test.each([
  ['a pipeline that is none', ['lgos'], 'there is no pipeline `lgos` here; did you mean `logs`?'],
  ['no pipeline, where there are several', [], 'say into which pipeline; pipelines: `logs`, `logs/down`'],
  ['a body of a span', ['traces', '--body', 'x'], 'an item of traces has no `body`; it has `name`'],
  ['a value that is none', ['metrics', '--value', 'many'], '`value`: `many` is no number'],
  ['an attribute without a value', ['logs', '--attribute', 'a'], '--attribute: `a` is no KEY=VALUE'],
  ['a text that is too long', ['logs', '--body', 'x'.repeat(5000)], '`body` is longer than 4096 characters'],
])('%s is told, and nothing is sent', async (_, args, message) => {
  const { code, err, out } = await send(...args)
  expect(err).toContain(message)
  expect([code, out]).toEqual([1, ''])
})

test('it stands in the events with who did it, and in the books like any other item', async () => {
  const events = await (await fetch(`${admin}/v1/events?kind=action`)).text()
  expect(events).toContain('a test item was sent')
  expect(events).not.toContain('hello there')
  const { out } = await kymo(['losses', '--admin', admin, '--by', 'receiver'])
  expect(out).toContain('send')
  const metrics = await (await fetch(`${admin}/metrics`)).text()
  expect(metrics).toMatch(/^kymo_books_unbalanced 0$/m)
})

test('without the token nothing is sent', async () => {
  const { code, out, err } = await command(['send', 'logs', '--admin', admin])
  expect([code, out]).toEqual([1, ''])
  expect(err).toContain('token')
})

test('two within a second: the second is asked to wait', async () => {
  const post = () =>
    fetch(`${admin}/v1/send`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: '{"pipeline":"logs/first"}',
    })
  await expect.poll(async () => (await post()).status).toBe(200)
  const answer = await post()
  expect([answer.status, await answer.text()]).toEqual([409, expect.stringContaining('less than a second ago')])
})
