import { afterEach, expect, test } from 'vitest'
import type { LogFields, Logger } from '../../core/logger.ts'
import { Service } from '../../service/service.ts'
import { type ToyGraph, toyGraph } from './toy-graph.ts'

const running: Service[] = []
afterEach(async () => {
  for (const service of running.splice(0)) if (service.phase !== 'stopped') await service.stop(100)
})

function made(behaviour: Parameters<typeof toyGraph>[1] & { endpoint?: string; metrics?: boolean } = {}) {
  const lines: { level: string; message: string; fields: LogFields }[] = []
  const write = (level: string) => (fields: LogFields, message: string) => void lines.push({ level, message, fields })
  const log: Logger = {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: () => log,
  }
  let graph: ToyGraph | undefined
  const service = new Service({
    graph: surroundings => (graph = toyGraph(surroundings, behaviour)),
    log,
    version: '1.2.3',
    admin: { endpoint: behaviour.endpoint ?? '127.0.0.1:0', metrics: behaviour.metrics ?? true },
  })
  running.push(service)
  const page = async (path: string) => fetch(`http://${service.adminAddress}${path}`)
  return { service, lines, page, graph: () => graph as ToyGraph }
}

test('is ready when the graph runs, and not before', async () => {
  const gate = Promise.withResolvers<void>()
  const { service, page } = made({ start: () => gate.promise })
  const started = service.start()
  await expect.poll(() => service.adminAddress).toBeDefined()
  expect((await page('/health/live')).status).toBe(200)
  expect((await page('/health/ready')).status).toBe(503)
  gate.resolve()
  await started
  expect((await page('/health/ready')).status).toBe(200)
})

test('what cannot start is thrown, and the ports are free again', async () => {
  const { service } = made({ start: () => Promise.reject(new Error('failed to start receiver otlp: port in use')) })
  await expect(service.start()).rejects.toThrow('failed to start receiver otlp')
  expect(service.phase).toBe('stopped')
  await expect(fetch(`http://${service.adminAddress}/health/live`)).rejects.toThrow()
})

test('the admin port in use is thrown before the graph is made', async () => {
  const first = made()
  await first.service.start()
  const second = made({ endpoint: first.service.adminAddress ?? '' })
  await expect(second.service.start()).rejects.toThrow(/admin server: cannot listen on .* in use/)
  expect(second.graph()).toBeUndefined()
})

test('what is lost at the end is logged with its count, its place and its reason', async () => {
  const { service, lines } = made({ lost: 7 })
  await service.start()
  expect(await service.stop(300)).toEqual({ lost: 7 })
  expect(lines.find(({ level }) => level === 'error')?.fields).toEqual({
    items: 7,
    by: { 'exporter toy/out (traces): shutdown': 7 },
  })
})

test('metrics carry the names of the Collector and the books', async () => {
  const { service, page, graph } = made()
  await service.start()
  const { receiver, exporter } = graph()
  receiver.in = receiver.out = 10
  receiver.answersTo('grpc').accepted = 6
  receiver.answersTo('http').accepted = 2
  receiver.answersTo('http').refused = 1
  receiver.refused.of('memory').value = 5
  exporter.in = 10
  exporter.delivered = 6
  exporter.lost.of('queue_full').value = 1
  exporter.rejected.of('DELIVERY_REJECTED').value = 2
  const usage = { connections: { used: 7, limit: 10 }, requests: { used: 2, limit: undefined } }
  const tallies = [{ status: 'RESOURCE_EXHAUSTED', reason: 'too_large', requests: 3 }]
  service.books.doors.push({
    receiver: 'toy',
    transport: 'grpc',
    refusals: { too_large: 3, memory: 0 },
    tallies,
    usage,
  })
  const response = await page('/metrics')
  expect(response.headers.get('content-type')).toMatch(/^text\/plain/)
  const text = await response.text()
  for (const line of [
    'otelcol_receiver_accepted_spans{receiver="toy",transport="grpc"} 6',
    'otelcol_receiver_accepted_spans{receiver="toy",transport="http"} 2',
    'otelcol_receiver_refused_spans{receiver="toy",transport="http"} 1',
    'otelcol_receiver_refused_spans{receiver="toy",transport=""} 5',
    'kymo_receiver_refused_requests_total{receiver="toy",transport="grpc",status="RESOURCE_EXHAUSTED",reason="too_large"} 3',
    'kymo_receiver_usage{receiver="toy",transport="grpc",resource="connections"} 7',
    'kymo_receiver_usage{receiver="toy",transport="grpc",resource="requests"} 2',
    'kymo_receiver_usage_limit{receiver="toy",transport="grpc",resource="connections"} 10',
    'kymo_exporter_latency_ms{exporter="toy/out",data_type="traces",quantile="0.99"} 12.5',
    'kymo_exporter_queue_oldest_seconds{exporter="toy/out",data_type="traces"} 0',
    'kymo_connections 1',
    'otelcol_exporter_sent_spans{exporter="toy/out"} 6',
    'otelcol_exporter_send_failed_spans{exporter="toy/out"} 2',
    'otelcol_exporter_enqueue_failed_spans{exporter="toy/out"} 1',
    'otelcol_exporter_queue_size{exporter="toy/out",data_type="traces"} 3',
    'otelcol_exporter_queue_capacity{exporter="toy/out",data_type="traces"} 1000',
    'kymo_component_items_total{kind="exporter",component="toy/out",pipeline="",signal="traces",direction="lost",reason="queue_full"} 1',
    'kymo_component_items_total{kind="receiver",component="toy",pipeline="",signal="traces",direction="refused",reason="memory"} 5',
    'kymo_component_state{kind="exporter",component="toy/out",state="OK"} 1',
    // The exporter above has one item too many.
    'kymo_books_unbalanced 1',
  ])
    expect(text).toContain(`${line}\n`)
  expect(text).toMatch(/^otelcol_process_memory_rss \d{7,}$/m)
  expect(text).not.toContain('otelcol_receiver_accepted_log_records{')
  expect(text).not.toContain('kymo_receiver_usage_limit{receiver="toy",transport="grpc",resource="requests"}')
  expect(await (await page('/status')).json()).toMatchObject({
    doors: [{ receiver: 'toy', limits: { connections: { used: 7, limit: 10 }, requests: { used: 2, limit: null } } }],
  })
})

test('counters go up from one scrape to the next', async () => {
  const { service, page, graph } = made()
  await service.start()
  graph().exporter.delivered = 1
  await page('/metrics')
  graph().exporter.delivered = 2
  expect(await (await page('/metrics')).text()).toContain('otelcol_exporter_sent_spans{exporter="toy/out"} 2\n')
})

test('the status document names components, their state, and where every item went', async () => {
  const { service, page, graph } = made()
  await service.start()
  const { exporter, components } = graph()
  exporter.in = 4
  exporter.lost.of('shutdown').value = 3
  components[1].status.set('RecoverableError', 'connection refused')
  const status: unknown = await (await page('/status')).json()
  expect(status).toMatchObject({
    process: { version: '1.2.3', phase: 'running', pid: process.pid },
    memory: { pressed: false, budget: { used_bytes: 0 } },
    components: [
      { kind: 'receiver', id: 'toy' },
      { kind: 'exporter', id: 'toy/out', state: 'RecoverableError', last_error: 'connection refused' },
    ],
    queues: [{ exporter: 'toy/out', size: 3, capacity: 1000, in_flight: 1 }],
    books: [{ id: 'toy' }, { id: 'toy/out', in: 4, lost: { shutdown: 3 }, unaccounted: 1 }],
    books_faults: ['exporter toy/out (traces): 1 items unaccounted for'],
  })
})

test('a component that fails and recovers is logged', async () => {
  const { service, lines, graph } = made()
  await service.start()
  const { status } = graph().components[1]
  status.set('RecoverableError', 'connection refused')
  status.set('OK')
  expect(lines.filter(({ level }) => level === 'warn').at(-1)).toMatchObject({
    fields: { id: 'toy/out', error: 'connection refused' },
  })
  expect(lines.at(-1)?.message).toBe('exporter toy/out has recovered')
})
