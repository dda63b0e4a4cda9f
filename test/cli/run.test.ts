/** Failure as users meet it: backends that are away or come back, signals in the middle of work. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { everything } from '../support/everything.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { grpcSend, grpcSender, httpSend } from '../support/otlp-send.ts'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'

type Transport = 'grpc' | 'http'

const running: KymoProcess[] = []
const sinks: OtlpSink[] = []
afterEach(async () => {
  for (const { child, ended } of running.splice(0)) {
    child.kill('SIGKILL')
    await ended
  }
  await Promise.all(sinks.splice(0).map(sink => sink.close()))
})

interface Ports {
  readonly grpc: number
  readonly http: number
  readonly admin: number
  readonly backend: number
}
const ports = async (): Promise<Ports> => ({
  grpc: await freePort(),
  http: await freePort(),
  admin: await freePort(),
  backend: await freePort(),
})

/** A gateway that sends over `transport` to the port of the backend. */
const config = (transport: Transport, { grpc, http, admin, backend }: Ports, exporter = '') => `
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:${grpc}'}, http: {endpoint: '127.0.0.1:${http}'}}}}
processors: {batch: {timeout: 20ms}}
exporters:
  otlp_${transport}:
    endpoint: ${transport === 'grpc' ? '' : 'http://'}127.0.0.1:${backend}
    ${transport === 'grpc' ? 'tls: {insecure: true}' : ''}
    retry_on_failure: {initial_interval: 20ms, max_interval: 50ms}
    ${exporter}
service:
  telemetry:
    logs: {encoding: json}
    metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${admin}}}}}]}
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [otlp_${transport}]}
    logs: {receivers: [otlp], processors: [batch], exporters: [otlp_${transport}]}
`

async function start(yaml: string, ...args: string[]): Promise<KymoProcess> {
  const kymo = spawnKymo(['run', '--config', `yaml:${yaml}`, ...args])
  running.push(kymo)
  await kymo.until('everything is ready')
  return kymo
}
async function backend(transport: Transport, port: number): Promise<OtlpSink> {
  const sink = await otlpSink(transport === 'grpc' ? { grpcPort: port } : { httpPort: port })
  sinks.push(sink)
  return sink
}
const spansAt = (sink: OtlpSink) => sink.items('traces').map(one => String(one.item['name']))
const spans = (...all: string[]) => tracesRequest([{ spans: all }])

describe.each<Transport>(['grpc', 'http'])('a backend over %s', transport => {
  test('that is away at the start stops nothing; the status says so; once it is there everything arrives', async () => {
    const where = await ports()
    const kymo = await start(config(transport, where))
    const all = names('n', 20)
    for (const name of all)
      expect(await grpcSend(`127.0.0.1:${where.grpc}`, 'traces', spans(name))).toMatchObject({ code: 0 })
    const page = async (path: string) => (await fetch(`http://127.0.0.1:${where.admin}${path}`)).text()
    await expect.poll(() => page('/status')).toContain('"state":"RecoverableError"')
    expect((await fetch(`http://127.0.0.1:${where.admin}/health/ready`)).status).toBe(200)
    const sink = await backend(transport, where.backend)
    await expect.poll(() => spansAt(sink).length, { timeout: 10_000 }).toBe(20)
    expect(spansAt(sink).toSorted()).toEqual(all.toSorted())
    await expect.poll(() => page('/status')).not.toContain('"state":"RecoverableError"')
    const metrics = await page('/metrics')
    expect(metrics).toContain(`otelcol_exporter_sent_spans{exporter="otlp_${transport}"} 20`)
    expect(metrics).toContain('kymo_books_unbalanced 0')
    kymo.child.kill('SIGTERM')
    expect(await kymo.ended).toBe(0)
  })

  test('that is restarted loses nothing', async () => {
    const where = await ports()
    const first = await backend(transport, where.backend)
    const kymo = await start(config(transport, where))
    const send = (name: string) => httpSend(`127.0.0.1:${where.http}`, 'traces', spans(name))
    expect(await send('before')).toMatchObject({ status: 200 })
    await expect.poll(() => spansAt(first)).toEqual(['before'])
    await first.close()
    for (const name of names('meanwhile', 5)) expect(await send(name)).toMatchObject({ status: 200 })
    const second = await backend(transport, where.backend)
    expect(await send('after')).toMatchObject({ status: 200 })
    await expect
      .poll(() => spansAt(second).toSorted(), { timeout: 10_000 })
      .toEqual(['after', ...names('meanwhile', 5)])
    kymo.child.kill('SIGTERM')
    expect(await kymo.ended).toBe(0)
  })

  test('that stays away: at SIGTERM what could not be delivered is logged as lost, with its count', async () => {
    const where = await ports()
    const kymo = await start(config(transport, where), '--shutdown-timeout', '300ms')
    expect(await grpcSend(`127.0.0.1:${where.grpc}`, 'traces', spans(...names('n', 7)))).toMatchObject({ code: 0 })
    expect(await grpcSend(`127.0.0.1:${where.grpc}`, 'logs', everything('logs'))).toMatchObject({ code: 0 })
    const began = performance.now()
    kymo.child.kill('SIGTERM')
    expect(await kymo.ended).toBe(2)
    expect(performance.now() - began).toBeLessThan(3000)
    const lines = kymo.lines()
    const lost = lines.filter(line => line['level'] === 'error' && line['reason'] === 'shutdown')
    expect(lost.map(line => Number(line['items'])).toSorted((a, b) => a - b)).toEqual([5, 7])
    expect(lines.find(line => 'by' in line)).toMatchObject({
      items: 12,
      by: { [`exporter otlp_${transport} (traces): shutdown`]: 7, [`exporter otlp_${transport} (logs): shutdown`]: 5 },
    })
  })

  test('that is slow: SIGTERM waits for it within the deadline, and nothing is lost', async () => {
    const where = await ports()
    const sink = await backend(transport, where.backend)
    sink.answer = async () => {
      await new Promise(resolve => setTimeout(resolve, 100))
      return undefined
    }
    const kymo = await start(config(transport, where, 'sending_queue: {num_consumers: 1}'))
    const all = names('n', 30)
    await Promise.all(all.map(name => grpcSend(`127.0.0.1:${where.grpc}`, 'traces', spans(name))))
    kymo.child.kill('SIGTERM')
    expect(await kymo.ended).toBe(0)
    expect(spansAt(sink).toSorted()).toEqual(all.toSorted())
    expect(kymo.log()).toContain('nothing was lost')
  })
})

test('a sender that waits for the backend gets its answer although the process stops, and a new one finds the door closed', async () => {
  const where = await ports()
  const sink = await backend('grpc', where.backend)
  const { promise: held, resolve: release } = Promise.withResolvers<undefined>()
  sink.answer = () => held
  const kymo = await start(config('grpc', where, 'sending_queue: {enabled: false}'))
  const sender = grpcSender(`127.0.0.1:${where.grpc}`)
  const answer = sender.send('traces', spans('a'))
  await expect.poll(() => sink.attempts.length).toBe(1)
  kymo.child.kill('SIGTERM')
  await kymo.until('stopping')
  await expect.poll(async () => (await grpcSend(`127.0.0.1:${where.grpc}`, 'logs', Buffer.alloc(0))).code).toBe(14)
  release(undefined)
  expect(await answer).toMatchObject({ code: 0 })
  sender.close()
  expect(await kymo.ended).toBe(0)
  expect(spansAt(sink)).toEqual(['a'])
})

test('everything that is wrong with a configuration is told at once, with its place, and nothing is started', async () => {
  const yaml = `receivers:
  otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0', max_recv_msg_size: 5}}}
processors:
  batch: {timeout: 5 seconds}
  namespace_fliter: {}
exporters:
  otlp_grpc: {sending_queue: {queue_size: 0}}
service:
  pipelines:
    traces: {receivers: [otlp, oltp], processors: [batch], exporters: [otlp_grpc, debug]}
`
  const folder = mkdtempSync(join(tmpdir(), 'kymo-run-'))
  const file = join(folder, 'bad.yaml')
  writeFileSync(file, yaml)
  const kymo = spawnKymo(['run', '--config', file])
  running.push(kymo)
  expect(await kymo.ended).toBe(1)
  const log = kymo.log()
  for (const place of [':2:', ':4:', ':5:', ':7:', ':10:']) expect(log).toContain(`bad.yaml${place}`)
  for (const word of ['max_recv_msg_size', 'namespace_filter', '5 seconds', 'oltp', 'debug', 'endpoint', 'queue_size'])
    expect(log).toContain(word)
  expect(log).toMatch(/\d errors in the configuration; nothing was started/)
  expect(kymo.output()).toBe('')
  rmSync(folder, { recursive: true })
})

test('a port that somebody has is told with its address and owner, and nothing keeps running', async () => {
  const where = await ports()
  const other = createServer().listen(where.http, '127.0.0.1')
  const kymo = spawnKymo(['run', '--config', `yaml:${config('grpc', where)}`])
  running.push(kymo)
  expect(await kymo.ended).toBe(1)
  expect(kymo.log()).toContain(`cannot listen on 127.0.0.1:${where.http}: the port is in use`)
  expect(kymo.log()).toContain('receiver otlp')
  other.close()
})
