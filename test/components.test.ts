/** What every component of the build must keep to. Nobody opts in: what is in the list is tested. */
import { existsSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { components } from '../components.ts'
import type { Batch } from '../core/batch.ts'
import { Books } from '../core/books.ts'
import { Budget } from '../core/budget.ts'
import { type Definition, defineExporter, type Lifecycle, type ReceiverDefinition } from '../core/component.ts'
import { DeliveryError } from '../core/errors.ts'
import { Host } from '../core/host.ts'
import { Journal } from '../core/journal.ts'
import { silent } from '../core/logger.ts'
import { MemoryPlan, memoryPlanKey } from '../core/memory.ts'
import { sending } from '../core/sending.ts'
import { Status } from '../core/status.ts'
import { budgetKey } from '../net/admission.ts'
import { Listeners, listenersKey } from '../net/listeners.ts'
import { Graph } from '../pipelines/graph.ts'
import { encodeGroups } from '../proto/group.ts'
import { allSignals } from '../proto/signals.ts'
import { batchOf } from './support/batches.ts'
import { runnableConfig } from './support/component-runs.ts'
import { toyGraph } from './support/graph.ts'
import { names, tracesRequest } from './support/otlp-bytes.ts'
import { itemsOf } from './support/otlp-proto.ts'
import { requests } from './support/otlp.ts'

const root = join(import.meta.dirname, '..')
const nameOf = ({ kind, type }: Definition) => `${kind} ${type}`
const each = components.map(one => [nameOf(one), one] as const)
const ofKind = <K extends Definition['kind']>(kind: K) =>
  components
    .filter((one): one is Extract<Definition, { kind: K }> => one.kind === kind)
    .map(one => [one.type, one] as const)

test('no name is taken twice, aliases included', () => {
  const all = components.flatMap(one => [one.type, ...(one.aliases ?? [])].map(name => `${one.kind} ${name}`))
  expect(all.toSorted()).toEqual([...new Set(all)].toSorted())
})

describe.each(each)('%s, as declared', (_, definition) => {
  const { kind, type, summary, examples, signals, config } = definition

  test('stands in the file of its name, in snake_case', async () => {
    expect(type).toMatch(/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/)
    const path = [`${kind}s/${type}.ts`, `${kind}s/${type}/${type}.ts`].find(one => existsSync(join(root, one)))
    const module = (await import(/* @vite-ignore */ join(root, String(path)))) as object
    expect(Object.values(module)).toContain(definition)
  })

  test('its summary is one sentence', () => {
    expect(summary).toMatch(/^[A-Z`][^.!?]*\.$/)
    expect(summary.length).toBeLessThan(120)
  })

  test('takes at least one signal, each once', () => {
    expect(signals.length).toBeGreaterThan(0)
    expect([...new Set(signals)].filter(signal => allSignals.includes(signal))).toEqual([...signals])
  })

  test('describes every option in a sentence, however deep', () => {
    const undescribed = options(config)
      .filter(({ schema }) => !/^\S.*\S$/s.test(schema.description ?? ''))
      .map(({ path }) => path)
    expect(undescribed).toEqual([])
  })

  test('names options as the Collector does', () => {
    const odd = options(config).filter(
      ({ path }) => !/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(path.split('.').at(-1) ?? ''),
    )
    expect(odd.map(({ path }) => path)).toEqual([])
  })

  test('knows no option that it does not declare, however deep', () => {
    const open = [{ path: '', schema: jsonSchema(config) }, ...options(config)].flatMap(({ path, schema }) =>
      objectsOf(schema)
        .filter(object => object.properties !== undefined && object.additionalProperties !== false)
        .map(() => path),
    )
    expect(open).toEqual([])
  })

  test('has examples, each with a title of its own, and all parse', () => {
    expect(examples.length).toBeGreaterThan(0)
    expect(new Set(examples.map(one => one.title)).size).toBe(examples.length)
    for (const { config: example, title } of examples) {
      expect(title).toMatch(/^[A-Z`]/)
      const parsed = config.safeParse(example)
      expect(parsed.error?.issues ?? [], title).toEqual([])
    }
  })

  test('parses without a word, or names what is missing', () => {
    const { error } = config.safeParse({})
    for (const { path, message } of error?.issues ?? [])
      expect(path.length > 0 || /`\w+`/.test(message), message).toBe(true)
  })

  test('tells an unknown key by its name', () => {
    for (const { config: example } of examples) {
      const { error } = config.safeParse({ ...(example as object), surely_no_key: 1 })
      expect(error?.issues).toContainEqual(
        expect.objectContaining({ code: 'unrecognized_keys', keys: ['surely_no_key'] }),
      )
    }
  })

  test.each([
    ['a list', []],
    ['a text', 'x'],
    ['a number', 7],
  ])('does not take %s for its configuration', (_, wrong) => {
    expect(config.safeParse(wrong).success).toBe(false)
  })
})

interface JsonSchema {
  readonly description?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly allOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
}

const jsonSchema = (config: z.ZodType) =>
  z.toJSONSchema(config, { io: 'input', unrepresentable: 'any', reused: 'inline', cycles: 'ref' }) as JsonSchema

/** A schema and all that stand in its place: members of unions, elements of lists, values of maps. */
function objectsOf(schema: JsonSchema): JsonSchema[] {
  const { items, anyOf = [], allOf = [], oneOf = [], additionalProperties } = schema
  const values = typeof additionalProperties === 'object' ? [additionalProperties] : []
  return [schema, ...[...anyOf, ...allOf, ...oneOf, ...values, ...(items ? [items] : [])].flatMap(objectsOf)]
}

/** Every option of a configuration with its path. */
function options(config: z.ZodType): { path: string; schema: JsonSchema }[] {
  const found: { path: string; schema: JsonSchema }[] = []
  const visit = (schema: JsonSchema, path: string): void => {
    for (const { properties = {} } of objectsOf(schema)) {
      for (const [name, option] of Object.entries(properties)) {
        const at = path === '' ? name : `${path}.${name}`
        found.push({ path: at, schema: option })
        visit(option, at)
      }
    }
  }
  visit(jsonSchema(config), '')
  return found
}

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
  const listeners = new Listeners()
  const host = new Host()
    .provide(budgetKey, budget)
    .provide(listenersKey, listeners)
    .provide(memoryPlanKey, new MemoryPlan(budget, facts))
  return { budget, host, listeners }
}

/** What keeps the process alive, by kind: sockets, servers, timers. */
function resources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const one of process.getActiveResourcesInfo()) counts.set(one, (counts.get(one) ?? 0) + 1)
  return counts
}

/** Waits without a timer, which would be seen. */
async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 5000
  while (!holds() && performance.now() < end) await new Promise(resolve => setImmediate(resolve))
}

/** What is there once the tests before have let go of theirs: one server of ours and no connection. */
async function quiet(): Promise<Map<string, number>> {
  const busy = () => ['TCPSocketWrap', 'SimpleShutdownWrap'].some(kind => resources().has(kind))
  await until(() => !busy() && resources().get('TCPServerWrap') === 1)
  return resources()
}

/** What stays there that was not there before. */
async function surplus(before: Map<string, number>): Promise<[kind: string, count: number][]> {
  const more = () => [...resources()].filter(([kind, n]) => n > (before.get(kind) ?? 0))
  await until(() => more().length === 0)
  return more()
}

function make(definition: Definition, host: Host): Lifecycle {
  const context = { id: `${definition.type}/test`, log: silent, status: new Status(), host, extension: () => undefined }
  const config = definition.config.parse(runnableConfig(definition, port)) as never
  const signals = new Set(definition.signals)
  switch (definition.kind) {
    case 'receiver': {
      const books = new Books().node({ kind: 'receiver', id: context.id, pipeline: '', signal: 'traces' })
      return definition.create(config, { ...context, signals, push: batch => batch.accept(), books: () => books, door: () => {} })
    }
    case 'exporter':
      return definition.create(config, { ...context, signals })
    case 'extension':
      return definition.create(config, context)
    case 'processor':
    case 'connector':
      throw new Error('has no lifecycle of its own')
  }
}

const living = each.filter(([, { kind }]) => kind !== 'processor' && kind !== 'connector')

describe.each(living)('%s, started and stopped', (_, definition) => {
  test('starts and stops, and again, on the same ports, and leaves no timer or socket', async () => {
    const { host, listeners, budget } = surroundings()
    const before = await quiet()
    for (let i = 0; i < 2; i++) {
      const instance = make(definition, host)
      await instance.start?.()
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
  const body = tracesRequest([{ namespace: 'shop', spans: names('s', 5) }])

  test('to a destination that never answers: an aborted send ends, and a stop leaves nothing behind', async () => {
    const { host, budget } = surroundings()
    const before = await quiet()
    const exporter = make(definition, host) as ReturnType<typeof definition.create>
    await exporter.start?.()
    const abort = new AbortController()
    const sent = definition.signals.map(signal =>
      exporter.send(batchOf(signal === 'traces' ? body : Buffer.alloc(0), { signal }), abort.signal).then(
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
    const outcome = await exporter.send(batchOf(body), AbortSignal.timeout(5000)).then(
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
      pipelines: [{ exporters: [definition.type] }],
      host,
    })
    for (let i = 0; i < 20; i++) await toy.push(body).outcome
    const began = performance.now()
    const { lost } = await toy.graph.stop(100)
    expect(performance.now() - began).toBeLessThan(1000)
    const [books] = toy.books.nodes.filter(node => node.name.kind === 'exporter')
    expect(books.delivered + lost).toBe(100)
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
      {
        receivers: new Map([['r', { id: 'r', definition, config }]]),
        exporters: new Map([['e', { id: 'e', definition: nop, config: nop.config.parse({}) }]]),
        processors: new Map(),
        connectors: new Map(),
        extensions: new Map(),
        started: [],
        pipelines: [{ id: 'traces', signal: 'traces', receivers: ['r'], processors: [], exporters: ['e'] }],
      },
      { host, log: silent, books, journal: new Journal() },
    )
    await graph.start()
    const began = performance.now()
    await graph.stop(200)
    expect(performance.now() - began).toBeLessThan(1000)
    await listeners.close()
    expect([budget.used, books.faults()]).toEqual([0, []])
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

describe.each(ofKind('processor'))('processor %s, in a graph', (type, definition) => {
  const run = async (config: unknown) => {
    const taken: Batch[] = []
    const { host } = surroundings()
    const toy = await toyGraph({
      exporters: {},
      components: {
        [type]: { definition, config: config as object },
        keep: { definition: defineNop(taken) },
      },
      pipelines: definition.signals.map(id => ({ id, processors: [type], exporters: ['keep'] })),
      host,
    })
    return { toy, taken }
  }

  test.each(definition.examples.map(one => [one.title, one.config]))(
    'random requests, with `%s`: each ends once, the books balance, what comes out can be decoded',
    async (_, config) => {
      const { toy, taken } = await run(config)
      let pushed = 0
      await fc.assert(
        fc.asyncProperty(fc.array(requests(), { minLength: 1, maxLength: 6 }), async samples => {
          const mine = samples.filter(({ signal }) => definition.signals.includes(signal))
          const outcomes = mine.map(({ signal, body }) => {
            const one = toy.push(body, { signal })
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
      const steps = toy.books.nodes.filter(node => node.name.kind === 'processor')
      const dropped = steps.reduce((sum, node) => sum + node.dropped.total, 0)
      expect(taken.reduce((sum, batch) => sum + batch.items, 0)).toBe(pushed - dropped)
    },
  )

  test('stops while busy within the deadline, and emits nothing after it', async () => {
    const { toy, taken } = await run(runnableConfig(definition, port))
    const pushed = Array.from({ length: 50 }, (_, i) => toy.push(tracesRequest([{ spans: [`s${i}`] }])))
    const began = performance.now()
    await toy.graph.stop(500)
    expect(performance.now() - began).toBeLessThan(600)
    for (const one of pushed) expect((await one.outcome).kind).toBe('success')
    const before = taken.length
    const late = toy.push(tracesRequest([{ spans: ['late'] }]))
    expect((await late.outcome).kind).toBe('refused')
    await new Promise(resolve => setTimeout(resolve, 30))
    expect(taken).toHaveLength(before)
    expect(toy.books.faults()).toEqual([])
    expect(toy.budget.used).toBe(0)
  })

  test('leaves no timer behind', async () => {
    const before = await quiet()
    const { toy } = await run(runnableConfig(definition, port))
    void toy.push(tracesRequest([{ spans: ['a'] }]))
    await toy.graph.stop(500)
    expect(await surplus(before)).toEqual([])
  })

  test('a request that is made of nothing but edges passes or ends, and nothing throws', async () => {
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
