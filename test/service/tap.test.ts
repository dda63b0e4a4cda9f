/** Taps as an operator has them: a process, its admin server, the command. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ask } from '../../cli/admin-client.ts'
import type { Signal } from '../../proto/signals.ts'
import { kymo as command } from '../support/command.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'

vi.setConfig({ testTimeout: 90_000 })
afterAll(() => vi.resetConfig())

type Line = Record<string, unknown>

let folder = ''
let config = ''
let socket = ''
let [admin, otlp] = [0, 0]
const running: KymoProcess[] = []
const viewers: Viewer[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kymo-'))
  config = join(folder, 'kymo.yaml')
  socket = join(folder, 'admin.sock')
  admin = await freePort()
  otlp = await freePort()
})
afterEach(async () => {
  for (const viewer of viewers.splice(0)) viewer.leave()
  for (const { child, ended } of running.splice(0)) {
    child.kill('SIGKILL')
    await ended
  }
  await rm(folder, { recursive: true, force: true })
})

const yamlOf = (traces: string, logs = '[]') => `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:${otlp}'}}}}
processors:
  namespace_filter: {}
  resource: {attributes: [{action: upsert, key: added, value: here}, {action: delete, key: gone}]}
  redaction: {allow_all_keys: true, blocked_values: ['secret']}
exporters: {nop: {}}
service:
  telemetry:
    logs: {encoding: json}
    metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${admin}}}}}]}
  pipelines:
    traces: {receivers: [otlp], processors: ${traces}, exporters: [nop]}
    metrics: {receivers: [otlp], processors: [resource], exporters: [nop]}
    logs: {receivers: [otlp], processors: ${logs}, exporters: [nop]}
`

async function start(yaml: string, args: string[] = [], env: Record<string, string> = {}): Promise<KymoProcess> {
  await writeFile(config, yaml)
  const process = spawnKymo(['run', '--config', config, ...args], env)
  running.push(process)
  await process.until('everything is ready')
  return process
}

/** Somebody who reads a tap, or does not. */
interface Viewer {
  readonly status: number
  readonly lines: Line[]
  readonly response: IncomingMessage
  /** Once all of it is there. */
  readonly over: Promise<unknown>
  leave(): void
}

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } })

function view(
  query: string,
  more: { headers?: Record<string, string>; reads?: boolean; overSocket?: boolean } = {},
): Promise<Viewer> {
  return new Promise((resolve, reject) => {
    const place = more.overSocket ? { socketPath: socket } : { host: '127.0.0.1', port: admin }
    const asking: ClientRequest = request({ ...place, path: `/v1/tap?${query}`, headers: more.headers, agent: false })
    asking.on('error', reject).end()
    asking.on('response', response => {
      const lines: Line[] = []
      let rest = ''
      response.on('error', () => {})
      const over = new Promise(done => response.once('close', done))
      if (more.reads !== false) response.on('data', take)
      function take(chunk: Buffer): void {
        const parts = (rest + String(chunk)).split('\n')
        rest = parts.pop() ?? ''
        for (const part of parts) lines.push(JSON.parse(part) as Line)
      }
      const viewer = { status: response.statusCode ?? 0, lines, response, over, leave: () => asking.destroy() }
      viewers.push(viewer)
      resolve(viewer)
    })
  })
}

const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
const names: Record<Signal, [group: string, scope: string, item: string]> = {
  traces: ['resourceSpans', 'scopeSpans', 'spans'],
  metrics: ['resourceMetrics', 'scopeMetrics', 'metrics'],
  logs: ['resourceLogs', 'scopeLogs', 'logRecords'],
}

/** Sends items of one resource. */
async function send(
  signal: Signal,
  items: object[],
  attributes: object[] = [text('service.name', 'shop')],
): Promise<void> {
  const [group, scope, item] = names[signal]
  const body = JSON.stringify({
    [group]: [{ resource: { attributes }, [scope]: [{ scope: { name: 'lib' }, [item]: items }] }],
  })
  const headers = { 'content-type': 'application/json' }
  const { status } = await fetch(`http://127.0.0.1:${otlp}/v1/${signal}`, { method: 'POST', headers, body })
  expect(status).toBe(200)
}

const items = ({ lines }: Viewer) => lines.filter(line => line['note'] === undefined)
/** The one group of a line's request, its one scope group, the one item there. */
function partsOf({ signal, request: sent }: Line) {
  const [group, scope, item] = names[signal as Signal]
  const [groupOf] = (sent as Record<string, Line[]>)[group]
  const [scopeOf] = groupOf[scope] as Line[]
  const [one] = scopeOf[item] as Line[]
  return {
    resource: groupOf['resource'] as { attributes: { key: string; value: { stringValue?: string } }[] },
    item: one,
  }
}
const itemOf = (line: Line) => partsOf(line).item
const nameOf = (line: Line) => itemOf(line)['name']
const resourceOf = (line: Line) =>
  Object.fromEntries(partsOf(line).resource.attributes.map(({ key, value }) => [key, value.stringValue]))
const note = ({ lines }: Viewer, what: string) => lines.find(line => line['note'] === what)

/** Nothing is out of balance, and nothing is kept. */
async function expectBalance(over = `127.0.0.1:${admin}`): Promise<void> {
  const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text()
  expect(metrics).toMatch(/^kymo_books_unbalanced(?:\{.*\})? 0$/m)
  expect(metrics).toMatch(/^kymo_internal_faults_total(?:\{.*\})? 0$/m)
  // The journal keeps something of its own.
  const used = async (): Promise<number> => {
    const { memory } = (await ask(over, '/status')) as {
      memory: { budget: { used_bytes: number }; kept_bytes: number }
    }
    return memory.budget.used_bytes - memory.kept_bytes
  }
  await expect.poll(used).toBe(0)
}

test('items of all signals, before and after, of one or of all components', async () => {
  await start(yamlOf('[resource]'))
  const [came, sent] = await Promise.all([view('component=otlp'), view('')])
  await send('traces', [{ name: 'a', traceId: trace }], [text('service.name', 'shop'), text('gone', 'x')])
  await send('metrics', [{ name: 'm', gauge: { dataPoints: [{ asInt: '1' }, { asInt: '2' }] } }])
  await send('logs', [{ body: { stringValue: 'hello' } }])
  await expect.poll(() => [items(came).length, items(sent).length]).toEqual([3, 3])
  expect(items(came).map(({ kind, component, side, signal }) => [kind, component, side, signal].join(' '))).toEqual([
    'receiver otlp out traces',
    'receiver otlp out metrics',
    'receiver otlp out logs',
  ])
  expect(items(sent).map(({ kind, component, side }) => [kind, component, side].join(' '))).toEqual(
    Array(3).fill('exporter nop in'),
  )
  const bySignal = (viewer: Viewer) => Object.fromEntries(items(viewer).map(line => [line['signal'], line]))
  expect(resourceOf(bySignal(came)['traces'])).toEqual({ 'service.name': 'shop', gone: 'x' })
  expect(resourceOf(bySignal(sent)['traces'])).toEqual({ 'service.name': 'shop', added: 'here' })
  expect(itemOf(bySignal(sent)['traces'])).toMatchObject({ name: 'a', traceId: trace })
  expect(itemOf(bySignal(sent)['metrics'])).toMatchObject({ gauge: { dataPoints: [{ asInt: '1' }, { asInt: '2' }] } })
  expect(itemOf(bySignal(came)['logs'])).toEqual({ body: { stringValue: 'hello' } })
  await expectBalance()
})

test('a processor that edits shows pairs, one that drops what it was given and what came out', async () => {
  await start(yamlOf('[namespace_filter, resource]'))
  const [edits, drops] = await Promise.all([
    view('component=resource&pipeline=traces'),
    view('component=namespace_filter'),
  ])
  await send('traces', [{ name: 'a' }, { name: 'b' }])
  await send('traces', [{ name: 'c' }], [text('k8s.namespace.name', 'kube-system')])
  await expect.poll(() => items(drops).length).toBe(5)
  expect(items(edits).map(line => [line['pair'], line['side'], nameOf(line), resourceOf(line)['added']])).toEqual([
    [1, 'in', 'a', undefined],
    [1, 'out', 'a', 'here'],
    [2, 'in', 'b', undefined],
    [2, 'out', 'b', 'here'],
  ])
  const [last] = items(drops).slice(-1)
  expect([last['side'], last['came_out'], nameOf(last)]).toEqual(['in', 0, 'c'])
  await expectBalance()
})

test('--where, --trace and --limit', async () => {
  await start(yamlOf('[]'))
  const where = await view('component=otlp&where=service.name%3Dshop&where=code%3D500')
  const of = await view(`pipeline=traces&trace=${trace.toUpperCase()}`)
  const limited = await view('component=otlp&limit=2')
  const code = (intValue: string) => ({ attributes: [{ key: 'code', value: { intValue } }] })
  await send('traces', [
    { name: 'a', ...code('500') },
    { name: 'b', ...code('200') },
    { name: 'c', traceId: trace },
  ])
  await send('traces', [{ name: 'd', ...code('500') }], [text('service.name', 'cart')])
  await limited.over
  await expect.poll(() => [items(where).length, items(of).length]).toEqual([1, 1])
  expect(items(where).map(line => nameOf(line))).toEqual(['a'])
  expect(items(of).map(line => nameOf(line))).toEqual(['c'])
  expect(items(limited).map(line => nameOf(line))).toEqual(['a', 'b'])
  expect(note(limited, 'ended')).toMatchObject({ why: 'limit', shown: 2 })
})

test('it ends with its time, and has a rate', async () => {
  await start(yamlOf('[]'))
  const viewer = await view('component=otlp&for=1500ms&rate=2')
  await send(
    'traces',
    Array.from({ length: 50 }, (_, i) => ({ name: String(i) })),
  )
  await viewer.over
  // Two at once; the others of the batch are not kept.
  expect(items(viewer).map(line => nameOf(line))).toEqual(['0', '1'])
  expect(note(viewer, 'ended')).toMatchObject({ why: 'time', shown: 2, items: 50, batches: 1, looked_at: 1 })
})

test('a viewer that is slow misses what it does not read and hears how much; data waits for nobody', async () => {
  await start(yamlOf('[]'), ['--admin', `unix:${socket}`])
  const viewer = await view('component=otlp&rate=100&for=5m', { reads: false, overSocket: true })
  const large = { body: { stringValue: 'x'.repeat(60_000) } }
  // More than its bounds and the socket's buffers together.
  for (let i = 0; i < 300; i++) await send('logs', [large])
  await expectBalance(`unix:${socket}`)
  let text = ''
  viewer.response.on('data', chunk => (text += String(chunk)))
  await expect
    .poll(async () => {
      await send('logs', [{ body: { stringValue: 'small' } }])
      return text.includes('"small"')
    })
    .toBe(true)
  const lines = text
    .split('\n')
    .filter(line => line.endsWith('}'))
    .map(line => JSON.parse(line) as Line)
  const missed = lines
    .filter(line => line['note'] === 'not_shown')
    .reduce((sum, line) => sum + Number(line['not_shown']), 0)
  expect(missed).toBeGreaterThan(10)
  expect(lines.find(line => line['cut_from_bytes'] !== undefined)?.['cut_from_bytes']).toBeGreaterThan(60_000)
})

test('a viewer that vanishes ends its tap, and makes room for another; there are four at most', async () => {
  const process = await start(yamlOf('[]'))
  const four = await Promise.all(Array.from({ length: 4 }, () => view('component=otlp&for=5m')))
  expect(four.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  const fifth = await view('component=otlp')
  expect([fifth.status, fifth.lines]).toEqual([409, []])
  four[0].leave()
  await expect.poll(async () => (await view('component=otlp&for=5m')).status).toBe(200)
  await process.until('"why":"viewer"')
  await send('logs', [{ body: { stringValue: 'x' } }])
  await expect.poll(() => four.slice(1).map(one => items(one).length)).toEqual([1, 1, 1])
  expect(items(four[0])).toEqual([])
  await expectBalance()
})

describe('who may', () => {
  test('with a token only who has it; with `--admin-tap off` nobody', async () => {
    const token = { KYMO_ADMIN_TOKEN: 's3cret' }
    await start(yamlOf('[]'), [], token)
    expect((await view('component=otlp')).status).toBe(401)
    expect((await view('component=otlp', { headers: { authorization: 'Bearer wrong' } })).status).toBe(401)
    expect((await view('component=otlp', { headers: { authorization: 'Bearer s3cret' } })).status).toBe(200)
    // A web page has no business here.
    expect((await view('', { headers: { authorization: 'Bearer s3cret', origin: 'http://a' } })).status).toBe(403)
  })

  test.each<[string[], Record<string, string>]>([
    [['--admin-tap', 'off'], {}],
    [[], { KYMO_ADMIN_TAP: 'off' }],
  ])('it is off with %j %j', async (args, env) => {
    await start(yamlOf('[]'), args, env)
    expect((await view('component=otlp')).status).toBe(403)
    const { code, err } = await command(['tap'], { KYMO_ADMIN: `127.0.0.1:${admin}` })
    expect([code, err]).toEqual([
      1,
      expect.stringContaining('this Kymo shows no data; it was started with `--admin-tap off`'),
    ])
  })

  test('what is still to be redacted is not shown', async () => {
    await start(yamlOf('[resource, redaction]'))
    const statuses = ['component=otlp', 'component=resource&pipeline=traces', 'component=redaction', ''].map(
      async query => (await view(query)).status,
    )
    expect(await Promise.all(statuses)).toEqual([403, 403, 403, 200])
    const viewer = await view('component=redaction&side=out')
    await send('traces', [{ name: 'a', attributes: [text('k', 'a secret')] }])
    await expect.poll(() => items(viewer).length).toBe(1)
    expect(JSON.stringify(viewer.lines)).not.toContain('secret')
  })
})

test.each([
  ['side=up', 400],
  ['where=x', 400],
  ['trace=12', 400],
  ['for=11m', 400],
  ['rate=101', 400],
  ['limit=0', 400],
  ['compnent=otlp', 400],
  ['component=nobody', 404],
  ['pipeline=traces%2F2', 404],
])('what is asked wrongly is told: %s', async (query, status) => {
  await start(yamlOf('[]'))
  expect((await view(query)).status).toBe(status)
})

test('a `batch` that gathers behind a queue on disk is told to be there', async () => {
  await start(`
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:${otlp}'}}}}
processors: {batch: {}}
exporters: {otlp_http: {endpoint: 'http://127.0.0.1:1', sending_queue: {storage: file_storage}}}
extensions: {file_storage: {directory: ${join(folder, 'storage')}, create_directory: true}}
service:
  extensions: [file_storage]
  telemetry:
    logs: {encoding: json}
    metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${admin}}}}}]}
  pipelines: {logs: {receivers: [otlp], processors: [batch], exporters: [otlp_http]}}
`)
  const { code, err } = await command(['tap', 'batch'], { KYMO_ADMIN: `127.0.0.1:${admin}` })
  expect([code, err]).toEqual([
    1,
    expect.stringMatching(/gathers behind the queue of an exporter; tap its exporter: `otlp_http`/),
  ])
})

test('over a reload a tap goes on, or ends with a word; at a stop it ends', async () => {
  const process = await start(yamlOf('[resource]'))
  const [stays, ends] = await Promise.all([
    view('pipeline=logs&for=5m'),
    view('component=resource&pipeline=traces&for=5m'),
  ])
  await writeFile(config, yamlOf('[resource, redaction]', '[resource]'))
  process.child.kill('SIGHUP')
  await ends.over
  expect(note(ends, 'ended')).toMatchObject({ why: 'reload', message: expect.stringContaining('redaction') })
  await send('logs', [{ body: { stringValue: 'x' } }])
  await expect.poll(() => items(stays).map(line => resourceOf(line)['added'])).toEqual(['here'])
  await expectBalance()
  process.child.kill('SIGTERM')
  await stays.over
  expect(note(stays, 'ended')).toMatchObject({ why: 'stopping' })
  expect(await process.ended).toBe(0)
})

test('the command: as text, as JSON lines, as requests that can be sent', async () => {
  await start(yamlOf('[resource]'))
  const env = { KYMO_ADMIN: `127.0.0.1:${admin}` }
  const taps = [
    ['tap', 'resource', '--pipeline', 'traces'],
    ['tap', 'otlp', '--out', '--format', 'json', '--where', 'gone=x'],
    ['tap', 'traces', '--trace', trace, '--format', 'otlp'],
  ].map(words => command([...words, '--limit', '1'], env))
  let isOver = false
  const all = Promise.all(taps).finally(() => (isOver = true))
  // They start when they start.
  await expect
    .poll(
      async () => {
        await send('traces', [{ name: 'a\u001b[2J', traceId: trace, spanId: '00f067aa0ba902b7' }], [text('gone', 'x')])
        return isOver
      },
      { timeout: 60_000 },
    )
    .toBe(true)
  const [changes, json, request] = await all
  expect([changes.code, json.code, request.code]).toEqual([0, 0, 0])
  expect(changes.out).toContain('processor resource changes, pipeline traces\n  ResourceSpans #0 gone=x\n')
  expect(changes.out).toContain('    - gone: Str(x)\n    + added: Str(here)\n')
  expect(changes.out).not.toContain('\u001b')
  expect(changes.err).toMatch(/^looking at processor resource in and out in traces\nits limit is reached: 1 shown; /)
  expect(JSON.parse(json.out)).toMatchObject({ component: 'otlp', side: 'out', request: { resourceSpans: [{}] } })
  const { status } = await fetch(`http://127.0.0.1:${otlp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: request.out,
  })
  expect(status).toBe(200)
  expect(JSON.parse(request.out)).toMatchObject({ resourceSpans: [{ scopeSpans: [{ spans: [{ traceId: trace }] }] }] })
})
