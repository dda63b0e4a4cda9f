/** What a service notes of itself, as its admin server tells it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { overAfter } from '../../core/shortage.ts'
import type { EventsDocument } from '../../service/event-pages.ts'
import type { LogDocument } from '../../service/log-pages.ts'
import { MovableClock } from '../support/clock.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'
import { type RunningService, runService } from '../support/service.ts'

let sink: OtlpSink
let folder: string
let kymo: RunningService | undefined
beforeEach(async () => {
  sink = await otlpSink()
  folder = mkdtempSync(join(tmpdir(), 'kymo-'))
})
afterEach(async () => {
  await kymo?.stop()
  kymo = undefined
  await sink.close()
  rmSync(folder, { recursive: true, force: true })
})

interface Parts {
  readonly exporter?: string
  readonly level?: string
  readonly storage?: string
}

const yaml = ({ exporter = '', level = 'info', storage = '' }: Parts = {}) => `
receivers: {otlp: {protocols: {http: {endpoint: 127.0.0.1:0}}}}
exporters:
  otlp_http/it: {endpoint: '${sink.httpEndpoint}', compression: none, retry_on_failure: {initial_interval: 5ms, max_interval: 5ms}${exporter}}
extensions: {${storage === '' ? '' : `file_storage: {${storage}}`}}
service:
  extensions: [${storage === '' ? '' : 'file_storage'}]
  telemetry: {logs: {level: ${level}}}
  pipelines: {traces: {receivers: [otlp], exporters: [otlp_http/it]}}
`

async function send(body = tracesRequest([{ spans: ['a'] }])): Promise<number> {
  const answer = await fetch(`http://${kymo?.endpoints.at(-1)}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: new Uint8Array(body),
  })
  return answer.status
}

const events = async (query = '') =>
  (JSON.parse((await kymo?.page(`/v1/events?${query}`)) ?? '') as EventsDocument).events
const told = async (query = '') => (await events(query)).map(({ kind, text }) => `${kind}: ${text}`)
const log = async (query: string) => JSON.parse((await kymo?.page(`/v1/log?${query}`)) ?? '') as LogDocument
const setLevel = async (body: object) => {
  const answer = await fetch(`http://${kymo?.service.adminAddress}/v1/log/level`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: answer.status, body: await answer.text() }
}

test('an outage: it starts, the destination takes nothing, and takes data again', async () => {
  kymo = await runService(yaml())
  sink.answer = () => ({ code: 14, message: 'out of order' })
  expect(await send()).toBe(200)
  await expect.poll(() => told('kind=circuit')).toHaveLength(1)
  sink.answer = () => undefined
  await expect.poll(() => told('kind=circuit')).toHaveLength(2)
  expect(await told()).toEqual([
    'process: Kymo 1.2.3 starts',
    'process: everything is ready; taking data',
    'component: exporter otlp_http/it: OK -> RecoverableError',
    'circuit: destination of traces takes nothing: probing, the queue stands',
    'circuit: destination of traces takes data again',
    'component: exporter otlp_http/it: RecoverableError -> OK',
  ])
  const [trouble] = await events('component=otlp_http/it')
  expect(trouble).toMatchObject({
    component: 'otlp_http/it',
    detail: expect.stringContaining('out of order'),
    fields: { component_kind: 'exporter', from: 'OK', to: 'RecoverableError' },
  })
})

test('senders are refused for want of room: when it begins, and when it ends', async () => {
  const clock = new MovableClock()
  kymo = await runService(yaml({ exporter: ', sending_queue: {sizer: requests, queue_size: 1}' }), {}, { clock })
  sink.answer = () => ({ code: 14, message: 'out of order' })
  await expect.poll(() => send()).toBe(503)
  expect(await told('kind=refusal')).toEqual([
    'refusal: senders are refused: the queue of exporter otlp_http/it is full',
  ])
  sink.answer = () => undefined
  await expect.poll(() => send()).toBe(200)
  await clock.advance(overAfter + 5000)
  const [, ended] = await events('kind=refusal')
  expect(ended?.text).toBe('senders are no longer refused: it was that the queue of exporter otlp_http/it is full')
  expect(ended?.fields?.['requests']).toBeGreaterThan(0)
})

test('a storage that is full says so once, and not as a component besides', async () => {
  const storage = `directory: ${folder}/queues, create_directory: true, max_size: 8MiB, segment_size: 1MiB`
  kymo = await runService(yaml({ storage, exporter: ', sending_queue: {storage: file_storage}' }))
  sink.answer = () => ({ code: 14, message: 'out of order' })
  const large = tracesRequest([{ spans: Array.from({ length: 8000 }, (_, i) => `a span with a long name ${i}`) }])
  await expect.poll(() => send(large), { interval: 1, timeout: 20_000 }).toBe(503)
  const full = await events('component=file_storage')
  expect(full.map(({ kind, text }) => [kind, text])).toEqual([['storage', 'the storage takes no data: full']])
  sink.answer = () => undefined
  await expect
    .poll(() => told('component=file_storage'), { timeout: 20_000 })
    .toContain('storage: the storage takes data again')
})

test('a reload: what it changed, by whom, and why it failed', async () => {
  kymo = await runService(yaml())
  const post = async (text: string) => {
    await kymo?.service.reload({ trigger: 'request', by: '10.0.0.1', text })
  }
  await post(yaml({ exporter: ', timeout: 7s' }))
  await post(yaml({ exporter: ', timeout: 7s' }))
  await post(yaml({ exporter: ', timeout: soon' }))
  await kymo.service.reload({ trigger: 'SIGHUP' })
  expect(await events('kind=reload')).toMatchObject([
    {
      text: 'another configuration was taken over',
      detail: 'restart exporter otlp_http/it',
      fields: { trigger: 'request', by: '10.0.0.1', result: 'applied', changes_total: 1 },
    },
    { text: 'reloaded: nothing has changed', fields: { trigger: 'request', result: 'unchanged' } },
    {
      text: 'the reload failed, what ran goes on',
      detail: expect.stringContaining('`soon` is no duration'),
      fields: { by: '10.0.0.1', result: 'failed', errors_total: 1 },
    },
    { text: 'another configuration was taken over', fields: { trigger: 'SIGHUP' } },
  ])
})

test('a level is another one for a time, and then what the configuration says by then', async () => {
  const clock = new MovableClock()
  kymo = await runService(yaml(), {}, { clock })
  // Its state is told at debug; it restarts with each reload that changes it.
  const heard = async (timeout: string, level: string) => {
    const { newest } = await log('')
    await kymo?.service.reload({ trigger: 'request', text: yaml({ exporter: `, timeout: ${timeout}`, level }) })
    const { lines } = await log(`level=debug&component=service&after=${newest}&limit=1000`)
    return new Set(lines.map(({ line }) => line.level))
  }
  expect(await heard('1s', 'info')).not.toContain('debug')
  expect((await setLevel({ component: 'service', level: 'debug', for: '10m' })).status).toBe(200)
  expect((await log('')).raised).toMatchObject([{ component: 'service', level: 'debug' }])
  expect(await heard('2s', 'info')).toContain('debug')
  // A reload in the meantime does not take it away, and what that says counts afterwards.
  expect(await heard('3s', 'warn')).toContain('debug')
  await clock.advance(599_000)
  expect(await heard('4s', 'warn')).toContain('debug')
  await clock.advance(1000)
  expect((await log('')).raised).toEqual([])
  expect(await heard('5s', 'warn')).not.toContain('debug')
  expect(await heard('6s', 'debug')).toContain('debug')
  expect(await events('kind=log')).toMatchObject([
    { component: 'service', text: 'the log level is debug, for a time', fields: { by: '127.0.0.1' } },
    { component: 'service', text: 'the log level is the configured one again' },
  ])
  expect(clock.timers).toBe(0)
})

test('a level is given back at once; one that is set again is given back once', async () => {
  const clock = new MovableClock()
  kymo = await runService(yaml(), {}, { clock })
  await setLevel({ component: 'otlp_http', level: 'debug', for: '1m' })
  await setLevel({ component: 'otlp_http', level: 'error', for: '10m' })
  await clock.advance(60_000)
  expect((await log('')).raised).toMatchObject([{ component: 'otlp_http', level: 'error' }])
  expect((await setLevel({ component: 'otlp_http', level: 'configured' })).status).toBe(200)
  expect(await told('kind=log')).toHaveLength(3)
  await clock.advance(600_000)
  expect(await told('kind=log')).toHaveLength(3)
})

test.each<[string, object, number, string]>([
  ['of what is not there', { component: 'otlp_htpp', level: 'debug' }, 404, 'did you mean `otlp_http`?'],
  ['of nothing', { level: 'debug' }, 400, 'component'],
  ['that is none', { component: 'otlp', level: 'debgu' }, 400, 'did you mean `debug`?'],
  ['without one', { component: 'otlp' }, 400, 'say which'],
  ['for too long', { component: 'otlp', level: 'debug', for: '48h' }, 400, '1s to 24h'],
  ['for no time', { component: 'otlp', level: 'debug', for: 'ever' }, 400, 'is no duration'],
  ['that was not set', { component: 'otlp', level: 'configured' }, 404, 'is the configured one'],
])('a level %s is refused', async (_, body, status, words) => {
  kymo = await runService(yaml())
  const answer = await setLevel(body)
  expect(answer.status).toBe(status)
  expect(answer.body).toContain(words)
  expect(await told('kind=log')).toEqual([])
})

test('lines of the log: by level, component, time and number', async () => {
  kymo = await runService(yaml({ level: 'debug' }))
  const all = await log('limit=1000')
  expect(all.lines.map(({ line }) => line)).toEqual(kymo.lines)
  expect(all.kept).toBe(kymo.lines.length)
  const own = await log('component=otlp_http&limit=1000')
  expect(own.lines.length).toBeGreaterThan(0)
  for (const { line } of own.lines) expect(JSON.stringify(line)).toContain('otlp_http/it')
  expect(await log('component=otlp_http/it&limit=1000')).toEqual(own)
  expect((await log('level=info')).lines.every(({ line }) => line.level !== 'debug')).toBe(true)
  expect((await log(`after=${all.newest}`)).lines).toEqual([])
  expect(await log('limit=1')).toMatchObject({ more: true, lines: [all.lines.at(-1)] })
  expect((await log('since=2100-01-01')).lines).toEqual([])
})

test.each([
  ['/v1/events?kind=relaod', 'did you mean `reload`?'],
  ['/v1/events?since=soon', 'is no time'],
  ['/v1/events?limit=5000', 'from 1 to 1000'],
  ['/v1/log?level=loud', 'is no level'],
  ['/v1/log?lvel=warn', 'did you mean `level`?'],
  ['/v1/process?a=b', 'there is no parameter'],
])('%s is told what is wrong', async (path, words) => {
  kymo = await runService(yaml())
  expect(await kymo.page(path)).toContain(words)
})

test('a fault of Kymo, and the stop, are told', async () => {
  kymo = await runService(yaml())
  kymo.service.countFault()
  expect((await told()).at(-1)).toContain('a fault of Kymo')
})
