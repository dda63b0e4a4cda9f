/** Six toys of components, each in 30 lines or fewer, against the contract and through whole graphs. */
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { Budget, budgetKey } from '../../core/budget.ts'
import { clockKey } from '../../core/clock.ts'
import type { Definition } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import { Host } from '../../core/host.ts'
import { encodeGroups } from '../../proto/group.ts'
import type { Signal } from '../../proto/signals.ts'
import { MovableClock } from '../support/clock.ts'
import { toyGraph, type ToyGraph } from '../support/graph.ts'
import { decode, encode } from '../support/otlp-proto.ts'
import { flatten } from '../support/otlp.ts'
import { dedup } from './dedup.ts'
import { filter } from './filter.ts'
import { httpExporter } from './http-exporter.ts'
import { logSource, type ToyLog } from './log-source.ts'
import { rewriting } from './rewriting.ts'
import { tailSampler } from './tail-sampler.ts'

let toy: ToyGraph | undefined
let time = new MovableClock()
afterEach(async () => {
  if (toy === undefined) return
  await toy.graph.stop(500)
  expect(toy.books.faults()).toEqual([])
  expect([toy.budget.used, time.timers]).toEqual([0, 0])
})

async function run(definition: Definition, signal: Signal, limit = 1 << 28): Promise<ToyGraph> {
  time = new MovableClock()
  const isReceiver = definition.kind === 'receiver'
  const isExporter = definition.kind === 'exporter'
  return (toy = await toyGraph({
    host: new Host().provide(clockKey, time).provide(budgetKey, new Budget(limit)),
    exporters: { sink: {} },
    components: { [definition.type]: { definition } },
    pipelines: [
      {
        id: signal,
        receivers: [isReceiver ? definition.type : 'toy'],
        processors: isReceiver || isExporter ? [] : [definition.type],
        exporters: ['sink'],
      },
    ],
  }))
}

const logs = (...records: object[]): Buffer =>
  encode('logs', { resource_logs: [{ scope_logs: [{ log_records: records }] }] })
const spans = (...list: [trace: number, name: string, isError?: boolean][]): Buffer =>
  encode('traces', {
    resource_spans: [
      {
        scope_spans: [
          {
            spans: list.map(([trace, name, isError]) => ({
              trace_id: Buffer.alloc(16, trace),
              name,
              ...(isError ? { status: { code: 2 } } : {}),
            })),
          },
        ],
      },
    ],
  })
const came = (signal: Signal): unknown[] =>
  (toy?.sinks['sink'].batches ?? []).flatMap(batch =>
    flatten(signal, encodeGroups(batch.groups)).map(({ item }) => item),
  )
const arrived = (signal: Signal, key: string): unknown[] =>
  came(signal).map(item => (item as Record<string, unknown>)[key])

test.each(['filter', 'http-exporter', 'log-source', 'tail-sampler', 'rewriting', 'dedup'])(
  'what the toy %s does stands in 30 lines or fewer',
  name => {
    const text = readFileSync(join(import.meta.dirname, `${name}.ts`), 'utf8')
    const create = text.slice(text.indexOf('  create')).split('\n')
    expect(create.length).toBeLessThanOrEqual(30)
  },
)

test('a filter by severity: what is below it is dropped by rule, and one without any is', async () => {
  const running = await run(filter, 'logs')
  const { outcome } = running.push(logs({ severity_number: 17 }, { severity_number: 5 }, {}), { signal: 'logs' })
  expect((await outcome).kind).toBe('success')
  expect(arrived('logs', 'severity_number')).toEqual([17])
})

test('a rewriting of three fields under a condition', async () => {
  const running = await run(rewriting, 'logs')
  const record = { severity_text: 'x', event_name: 'e', body: { string_value: 'secret' } }
  await running.push(logs({ ...record, severity_number: 17 }, { ...record, severity_number: 9 }), { signal: 'logs' })
    .outcome
  expect(came('logs')).toEqual([
    { severity_number: 17, severity_text: 'ERROR', body: { string_value: '[hidden]' } },
    { ...record, severity_number: 9 },
  ])
})

test('a tail sampler: traces meet, wait, and go as a whole; a source behind it waits for the decision', async () => {
  const running = await run(tailSampler, 'traces')
  const first = running.push(spans([1, 'a'], [2, 'b']))
  const second = running.push(spans([1, 'c', true], [3, 'd']))
  for (const one of [first, second]) expect((await one.outcome).kind).toBe('success')
  expect(running.sinks['sink'].batches).toEqual([])
  await time.advance(2000)
  expect(arrived('traces', 'name')).toEqual(['a', 'c'])
  for (const one of [first, second]) expect(await one.ended).toMatchObject({ again: false, lost: 0 })
})

test('a tail sampler over a reload: traces are taken on, with their age', async () => {
  const running = await run(tailSampler, 'traces')
  const { outcome, ended } = running.push(spans([1, 'a', true]))
  await outcome
  await time.advance(900)
  await running.reload({
    exporters: { sink: {} },
    components: { toy_tail: { definition: tailSampler, config: { most: 10 } } },
    pipelines: [{ processors: ['toy_tail'], exporters: ['sink'] }],
  })
  expect(running.sinks['sink'].batches).toEqual([])
  await time.advance(200)
  await expect.poll(() => arrived('traces', 'name')).toEqual(['a'])
  expect(await ended).toMatchObject({ again: false })
})

test('a tail sampler where memory is short lets go of the oldest', async () => {
  const running = await run(tailSampler, 'traces', 1 << 20)
  const { budget } = running
  for (let i = 0; i < 20; i++) await running.push(spans([i, 'x'.repeat(10_000), true])).outcome
  expect(running.sinks['sink'].batches).toEqual([])
  budget.charge(700_000)
  await expect.poll(() => running.sinks['sink'].batches.length).toBeGreaterThan(0)
  budget.release(700_000)
})

test('a deduplication: n in, one out, and a source behind it hears when that one is safe', async () => {
  const running = await run(dedup, 'logs')
  let take: () => void = () => {}
  running.sinks['sink'].behave = () => new Promise(resolve => (take = () => resolve(undefined)))
  const same = { body: { string_value: 'again' } }
  const pushed = [1, 2, 3].map(() => running.push(logs(same), { signal: 'logs' }))
  for (const one of pushed) expect((await one.outcome).kind).toBe('success')
  await time.advance(1000)
  const silence = new Promise(resolve => setImmediate(resolve, 'nothing'))
  expect(await Promise.race([pushed[0].ended, silence])).toBe('nothing')
  take()
  for (const one of pushed) expect(await one.ended).toEqual({ again: false, rejected: 0, lost: 0, reason: undefined })
  expect(came('logs')).toEqual([same])
})

test('a deduplication that has no room to remember a record hands it on as it is', async () => {
  const running = await run(dedup, 'logs', 1 << 20)
  const texts = Array.from('abcdefghijkl', letter => letter.repeat(40_000))
  for (const text of texts) await running.push(logs({ body: { string_value: text } }), { signal: 'logs' }).outcome
  const soon = arrived('logs', 'body').length
  expect([soon > 0, soon < texts.length]).toEqual([true, true])
  await time.advance(1000)
  expect(arrived('logs', 'body')).toHaveLength(texts.length)
})

/** A log in memory. */
class MemoryLog implements ToyLog {
  readonly name = 'log'
  readonly records: Buffer[] = []
  kept: Buffer | undefined
  #more: () => void = () => {}

  add(...records: Buffer[]): void {
    this.records.push(...records)
    this.#more()
  }

  async at(place: number, abort: AbortSignal): Promise<Buffer> {
    while (place >= this.records.length) {
      await new Promise<void>((resolve, reject) => {
        this.#more = resolve
        abort.addEventListener('abort', () => reject(abort.reason as Error))
      })
    }
    return this.records[place]
  }

  get(): Buffer | undefined {
    return this.kept
  }

  async put(_: string, value: Buffer): Promise<void> {
    this.kept = Buffer.from(value)
  }
}

test('a source that is read moves on behind what is safe, and reads again what is given back', async () => {
  const log = new MemoryLog()
  const running = await run(logSource(log), 'logs')
  const body = (text: string): Buffer => logs({ body: { string_value: text } })
  log.add(body('a'), body('b'))
  await expect.poll(() => String(log.kept)).toBe('2')
  running.sinks['sink'].behave = () => Promise.reject(new DeliveryError('DELIVERY_REJECTED', 'rejected', 'no'))
  log.add(body('c'))
  await expect.poll(() => String(log.kept)).toBe('3')
  expect(arrived('logs', 'body')).toEqual(['a', 'b', 'c'].map(text => ({ string_value: text })))
})

test('an exporter over HTTP: what it throws says what it means for the data', async () => {
  const statuses = [503, 200, 400]
  const bodies: unknown[] = []
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      bodies.push(decode('logs', Buffer.concat(chunks)))
      response.writeHead(statuses.shift() ?? 200).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  time = new MovableClock()
  const retry = { initial_interval: '1ms' }
  const running = (toy = await toyGraph({
    exporters: {},
    components: {
      toy_http: { definition: httpExporter, config: { endpoint: `http://127.0.0.1:${port}`, retry_on_failure: retry } },
    },
    pipelines: [{ id: 'logs', exporters: ['toy_http'] }],
  }))
  const push = () => running.push(logs({ severity_number: 9 }), { signal: 'logs' })
  expect(await push().ended).toMatchObject({ again: false, rejected: 0 })
  expect(await push().ended).toMatchObject({ again: false, rejected: 1 })
  expect(bodies).toHaveLength(3)
  server.close()
  server.closeAllConnections()
})
