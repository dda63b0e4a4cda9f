/** What every component of the build must keep to when it runs. Nobody opts in: what is in the list is tested. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { components } from './support/components.ts'
import type { Batch } from '../core/batch.ts'
import { Books, type NodeBooks } from '../core/books.ts'
import { Budget, budgetKey } from '../core/budget.ts'
import { type Definition, defineExporter, type Lifecycle, type ReceiverDefinition } from '../core/component.ts'
import { DeliveryError } from '../core/errors.ts'
import { Host } from '../core/host.ts'
import { Journal } from '../core/journal.ts'
import { silent } from '../core/logger.ts'
import { MemoryPlan, memoryPlanKey } from '../core/memory.ts'
import { sending } from '../core/sending.ts'
import { listenersKey } from '../net/listeners.ts'
import { Graph } from '../pipelines/graph/graph.ts'
import { planOf } from '../plan/plan.ts'
import { encodeGroups } from '../proto/group.ts'
import { allSignals, type Signal } from '../proto/signals.ts'
import { SelfReport, selfReportKey } from '../telemetry/self-report.ts'
import { batchOf } from './support/batches.ts'
import { runnableConfig } from './support/component-runs.ts'
import { everything } from './support/everything.ts'
import { onlyUntil } from './support/exporting.ts'
import { toyGraph, type ToyPipeline } from './support/graph.ts'
import { NotedListeners } from './support/kymo.ts'
import { names, tracesRequest } from './support/otlp-bytes.ts'
import { encode, itemsOf } from './support/otlp-proto.ts'
import { requests } from './support/otlp.ts'
import { quiet, surplus } from './support/resources.ts'
import { componentContext, receiverContext } from './support/contexts.ts'

const each = components.map(one => [`${one.kind} ${one.type}`, one] as const)
const ofKind = <K extends Definition['kind']>(kind: K) =>
  components
    .filter((one): one is Extract<Definition, { kind: K }> => one.kind === kind)
    .map(one => [one.type, one] as const)

/** Accepts connections and never answers: what a destination is at its worst. */
let hole: Server
let port = 0
const connections = new Set<Socket>()
beforeEach(async () => {
  hole = createServer(socket => {
    connections.add(socket)
    socket.on('error', () => {}).on('close', () => connections.delete(socket))
    socket.resume()
  })
  await new Promise<void>(resolve => hole.listen(0, '127.0.0.1', resolve))
  port = (hole.address() as AddressInfo).port
})
afterEach(async () => {
  for (const socket of connections) socket.destroy()
  await new Promise(resolve => hole.close(resolve))
})

/** What components find in a process. */
function surroundings() {
  const budget = new Budget(256 << 20)
  const facts = { physical: 1 << 30, container: undefined, baseline: 0, young: 0, windows: 0 }
  const listeners = new NotedListeners()
  const host = new Host()
    .provide(budgetKey, budget)
    .provide(listenersKey, listeners)
    .provide(memoryPlanKey, new MemoryPlan(budget, facts))
    .provide(selfReportKey, new SelfReport({}, 'test'))
  return { budget, host, listeners }
}

function make(definition: Definition, host: Host): Lifecycle {
  const context = componentContext({ id: `${definition.type}/test`, host })
  const config = definition.config.parse(runnableConfig(definition, port))
  const signals = new Set(definition.signals)
  switch (definition.kind) {
    case 'receiver':
      return definition.create(config, receiverContext({ ...context, signals, push: batch => batch.accept() }))
    case 'exporter':
      return definition.create(config, { ...context, signals })
    case 'extension':
      return definition.create(config, context)
    case 'processor':
    case 'connector':
      throw new Error('has no lifecycle of its own')
  }
}

/** A request of five items that every backend can take. */
function fiveItems(signal: Signal): Buffer {
  if (signal === 'traces') return tracesRequest([{ namespace: 'shop', spans: names('s', 5) }])
  const resource = { attributes: [{ key: 'service.name', value: { string_value: 'shop' } }] }
  const time_unix_nano = `${Date.now()}000000`
  const five = names('s', 5)
  return signal === 'logs'
    ? encode('logs', {
        resource_logs: [
          {
            resource,
            scope_logs: [{ log_records: five.map(text => ({ time_unix_nano, body: { string_value: text } })) }],
          },
        ],
      })
    : encode('metrics', {
        resource_metrics: [
          {
            resource,
            scope_metrics: [
              { metrics: five.map(name => ({ name, gauge: { data_points: [{ time_unix_nano, as_double: 1 }] } })) },
            ],
          },
        ],
      })
}

const living = each.filter(([, { kind }]) => kind !== 'processor' && kind !== 'connector')

describe.each(living)('%s, started and stopped', (_, definition) => {
  test('starts and stops, and again, on the same ports, and leaves no timer or socket', async () => {
    const { host, listeners, budget } = surroundings()
    const before = await quiet()
    for (let i = 0; i < 2; i++) {
      const instance = make(definition, host)
      await instance.start?.()
      instance.run?.()
      await instance.stop?.()
    }
    expect(await surplus(before)).toEqual([])
    await listeners.close()
    expect(budget.used).toBe(0)
  })

  test('stops although it was never started, and twice', async () => {
    const { host } = surroundings()
    const instance = make(definition, host)
    await instance.stop?.()
    await instance.stop?.()
  })

  test('is made without touching the outside: no timer, no socket', async () => {
    const { host } = surroundings()
    const before = await quiet()
    make(definition, host)
    expect(await surplus(before)).toEqual([])
  })
})

describe.each(ofKind('exporter'))('exporter %s', (_, definition) => {
  const [signal] = definition.signals
  const body = fiveItems(signal)

  test('to a destination that never answers: an aborted send ends, and a stop leaves nothing behind', async () => {
    const { host, budget } = surroundings()
    const before = await quiet()
    const exporter = make(definition, host) as ReturnType<typeof definition.create>
    await exporter.start?.()
    exporter.run?.()
    const abort = new AbortController()
    const sent = definition.signals.map(signal =>
      exporter.send(batchOf(fiveItems(signal), { signal }), onlyUntil(abort.signal)).then(
        () => 'taken',
        (error: unknown) => (error instanceof DeliveryError ? error.kind : error),
      ),
    )
    await new Promise(resolve => setTimeout(resolve, 30))
    abort.abort()
    for (const outcome of await Promise.all(sent)) expect(['taken', 'retry']).toContain(outcome)
    await exporter.stop?.()
    for (const socket of connections) socket.destroy()
    expect(await surplus(before)).toEqual([])
    expect(budget.used).toBe(0)
  })

  test('to a destination that is not there: it starts, and a send is worth a retry', async () => {
    const { host, budget } = surroundings()
    await new Promise(resolve => hole.close(resolve))
    const exporter = make(definition, host) as ReturnType<typeof definition.create>
    await exporter.start?.()
    exporter.run?.()
    const outcome = await exporter.send(batchOf(body), onlyUntil(AbortSignal.timeout(5000))).then(
      () => 'taken',
      (error: unknown) => (error instanceof DeliveryError ? error.kind : error),
    )
    expect(['taken', 'retry']).toContain(outcome)
    await exporter.stop?.()
    expect(budget.used).toBe(0)
  })

  test('busy, in a graph: a stop ends within its deadline and books what is lost', async () => {
    const { host, budget } = surroundings()
    const toy = await toyGraph({
      exporters: {},
      components: { [definition.type]: { definition, config: runnableConfig(definition, port) as object } },
      pipelines: [{ id: signal, exporters: [definition.type] }],
      host,
    })
    for (let i = 0; i < 20; i++) await toy.push(body, { signal }).outcome
    const began = performance.now()
    const { lost } = await toy.graph.stop(100)
    expect(performance.now() - began).toBeLessThan(1000)
    const [books] = toy.books.nodes.filter(node => node.name.kind === 'exporter')
    expect(books.delivered + books.rejected.total + lost).toBe(100)
    expect(toy.books.faults()).toEqual([])
    expect([toy.budget.used, budget.used]).toEqual([0, 0])
  })
})

describe.each(ofKind('receiver'))('receiver %s', (_, definition: ReceiverDefinition) => {
  test('with a sender that stalls, a stop of the graph ends within its deadline', async () => {
    const { host, budget, listeners } = surroundings()
    const books = new Books()
    const config: unknown = definition.config.parse(runnableConfig(definition, port))
    const nop = defineNop()
    const graph = new Graph(
      planOf({
        receivers: new Map([['r', { id: 'r', definition, config, uses: [] }]]),
        exporters: new Map([['e', { id: 'e', definition: nop, config: nop.config.parse({}), uses: [] }]]),
        processors: new Map(),
        connectors: new Map(),
        extensions: new Map(),
        started: [],
        pipelines: [{ id: 'traces', signal: 'traces', receivers: ['r'], processors: [], exporters: ['e'] }],
      }),
      { host, log: silent, books, journal: new Journal() },
    )
    await graph.start()
    const senders = listeners.addresses.map(address => {
      const [host, port] = address.split(':')
      return connect(Number(port), host).on('error', () => {})
    })
    for (const sender of senders) {
      sender.write('POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n')
      sender.write('content-length: 1000\r\n\r\nabc')
    }
    await new Promise(resolve => setTimeout(resolve, 30))
    const began = performance.now()
    await graph.stop(200)
    expect(performance.now() - began).toBeLessThan(1000)
    for (const sender of senders) sender.destroy()
    await listeners.close()
    await expect.poll(() => budget.used).toBe(0)
    expect(books.faults()).toEqual([])
  })
})

/** An exporter that keeps what it was sent. */
function defineNop(taken: Batch[] = []) {
  return defineExporter({
    type: 'keep',
    stability: 'stable',
    summary: 'Keeps what it is sent.',
    signals: allSignals,
    ordering: 'none',
    config: z.strictObject(sending()),
    examples: [],
    create: () => ({
      send: async batch => {
        taken.push(batch)
        return undefined
      },
    }),
  })
}

type StepDefinition = Extract<Definition, { kind: 'processor' | 'connector' }>

/** Pipelines around a processor, or around a connector for everything that it joins. */
function pipelinesAround(definition: StepDefinition): ToyPipeline[] {
  const { type } = definition
  if (definition.kind === 'processor') {
    return definition.signals.map(id => ({ id, processors: [type], exporters: ['keep'] }))
  }
  const outputs = new Set(definition.joins.map(([, to]) => to))
  return [
    ...definition.signals.map(from => ({ id: `${from}/in`, exporters: [type] })),
    ...[...outputs].map(to => ({ id: `${to}/out`, receivers: [type], exporters: ['keep'] })),
  ]
}

describe.each([...ofKind('processor'), ...ofKind('connector')])('step %s, in a graph', (type, definition) => {
  const run = async (config: unknown) => {
    const taken: Batch[] = []
    const { host } = surroundings()
    const toy = await toyGraph({
      exporters: {},
      components: { [type]: { definition, config: config as object }, keep: { definition: defineNop(taken) } },
      pipelines: pipelinesAround(definition),
      host,
    })
    return { toy, taken }
  }
  const takes = (signal: Signal) => definition.signals.includes(signal)
  const [signal] = definition.signals
  const some = (n: number) => everything(signal, `namespace-${n}`)

  test.each(definition.examples.map(one => [one.title, one.config]))(
    'random requests, with `%s`: each ends once, the books balance, what comes out can be decoded',
    async (_, config) => {
      const { toy, taken } = await run(config)
      let pushed = 0
      await fc.assert(
        fc.asyncProperty(fc.array(requests(), { minLength: 1, maxLength: 6 }), async samples => {
          const outcomes = samples
            .filter(sample => takes(sample.signal))
            .map(sample => {
              const one = toy.push(sample.body, { signal: sample.signal })
              pushed += one.delivery.items
              return one.outcome
            })
          for (const outcome of await Promise.all(outcomes)) expect(outcome.kind).toBe('success')
          expect(toy.books.faults()).toEqual([])
        }),
        { numRuns: 60 },
      )
      await toy.graph.stop(1000)
      expect(toy.books.faults()).toEqual([])
      expect(toy.budget.used).toBe(0)
      for (const batch of taken) expect(() => itemsOf(batch.signal, encodeGroups(batch.groups))).not.toThrow()
      const steps = toy.books.nodes.filter(node => node.name.kind === definition.kind)
      const sum = (of: (node: NodeBooks) => number) => steps.reduce((total, node) => total + of(node), 0)
      expect(sum(node => node.in)).toBeGreaterThanOrEqual(pushed)
      expect(sum(node => node.lost.total + node.returned.total)).toBe(0)
      expect(taken.reduce((total, batch) => total + batch.items, 0)).toBe(sum(node => node.out))
    },
  )

  test('stops while busy within the deadline, and emits nothing after it', async () => {
    const { toy, taken } = await run(runnableConfig(definition, port))
    const pushed = Array.from({ length: 50 }, (_, n) => toy.push(some(n), { signal }))
    const began = performance.now()
    await toy.graph.stop(500)
    expect(performance.now() - began).toBeLessThan(600)
    for (const one of pushed) expect((await one.outcome).kind).toBe('success')
    const before = taken.length
    expect((await toy.push(some(51), { signal }).outcome).kind).toBe('refused')
    await new Promise(resolve => setTimeout(resolve, 30))
    expect(taken).toHaveLength(before)
    expect(toy.books.faults()).toEqual([])
    expect(toy.budget.used).toBe(0)
  })

  test('leaves no timer behind', async () => {
    const before = await quiet()
    const { toy } = await run(runnableConfig(definition, port))
    void toy.push(some(1), { signal })
    await toy.graph.stop(500)
    expect(await surplus(before)).toEqual([])
  })

  test.skipIf(!takes('traces'))('a request of nothing but edges passes or ends, and nothing throws', async () => {
    const { toy } = await run(runnableConfig(definition, port))
    const bodies = [
      tracesRequest([]),
      tracesRequest([{ spans: [] }, { namespace: '', spans: [''] }, { spans: [] }]),
      tracesRequest([{ namespace: 'kube-system', spans: names('s', 300) }]),
    ]
    for (const body of bodies) {
      const { delivery, outcome } = toy.push(body)
      if (delivery.items > 0) expect((await outcome).kind).toBe('success')
    }
    await toy.graph.stop(500)
    expect(toy.books.faults()).toEqual([])
  })
})
