/** When a sender hears, how many requests leave, and what a kill costs, for all destinations beside each other and each way of gathering. */
import { filter, map } from 'rxjs'
import { afterEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { clockKey } from '../../core/clock.ts'
import { Budget } from '../../core/budget.ts'
import { defineConnector, defineExporter, defineProcessor } from '../../core/component.ts'
import { Host } from '../../core/host.ts'
import { sending } from '../../core/sending.ts'
import { forward } from '../../connectors/forward.ts'
import { budgetKey } from '../../core/budget.ts'
import { explain } from '../../plan/explain.ts'
import { batch } from '../../processors/batch.ts'
import { MovableClock } from '../support/clock.ts'
import { type ToyGraph, toyGraph, type ToyParts, ToySink } from '../support/graph.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { diskOf, MemoryStorage } from '../support/storage.ts'

const declared = { stability: 'alpha', summary: 'A toy.', signals: ['traces'], examples: [] } as const
const passing = defineProcessor({
  ...declared,
  type: 'passing',
  hold: 'none',
  config: z.strictObject({}),
  touches: () => [],
  create: () => map(one => one),
})
/** Makes nothing of what it takes. */
const deriving = defineConnector({
  ...declared,
  type: 'deriving',
  hold: 'none',
  derives: true,
  joins: [['traces', 'traces']],
  config: z.strictObject({}),
  create: (_, context) => filter(one => (context.consume(one), false)),
})

/** What a destination is: its queue, and what stands between it and the pipeline. */
const destinations = {
  memory: {},
  durable: { storage: 'disk' },
  waiting: { wait_for_result: true },
  direct: { enabled: false },
  local: { enabled: false },
  deriving: {},
  'forward to memory': {},
  'forward to direct': { enabled: false },
} as const
type Name = keyof typeof destinations
const all = Object.keys(destinations) as Name[]
const modes = ['last', 'not last', 'by tenant', 'in the queue'] as const
type Mode = (typeof modes)[number]

const requests = 6
const tenants = 2

interface Expected {
  /** Requests that leave for it. */
  readonly sent: number
  /** Items that senders think are taken and a kill would cost, while they may be gathered. */
  readonly atRisk: number
}

/** Destinations whose senders hear only when they have it, so that nothing may wait in front of them. */
const answering: readonly Name[] = ['durable', 'waiting', 'direct', 'forward to direct']

/** Beside a queue on disk each gathers for itself, with what the last `batch` says, unless something is to be handed on. */
const isCarried = (names: readonly Name[], mode: Mode): boolean =>
  (mode === 'last' || mode === 'by tenant') &&
  names.includes('durable') &&
  !names.some(name => name.startsWith('forward'))

/** The rule, as it is told to users. */
function expected(name: Name, names: readonly Name[], mode: Mode): Expected {
  const single = { sent: requests, atRisk: 0 }
  const gathered = { sent: mode === 'by tenant' ? tenants : 1, atRisk: requests }
  // What is made of data is somebody else's row.
  if (name === 'deriving') return { sent: 0, atRisk: 0 }
  if (mode === 'in the queue' || isCarried(names, mode)) {
    if (name === 'durable') return { ...gathered, atRisk: 0 }
    if (name === 'local') return mode === 'in the queue' ? single : gathered
    return answering.includes(name) ? single : gathered
  }
  return names.some(one => answering.includes(one)) ? single : gathered
}

const rows = modes.flatMap(mode =>
  all.flatMap((one, i) => [[mode, [one]] as const, ...all.slice(i + 1).map(other => [mode, [one, other]] as const)]),
)

let toy: ToyGraph
let clock: MovableClock
let storage: MemoryStorage
let local: ToySink
afterEach(async () => {
  await toy.graph.stop(100)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

function partsFor(names: readonly Name[], mode: Mode): ToyParts {
  const gathering = mode === 'in the queue' ? { batch: { flush_timeout: '200ms' } } : {}
  const sink = (name: Name) => [name, { sending_queue: { ...destinations[name], ...gathering } }] as const
  const ends = names.filter(name => name !== 'local' && name !== 'deriving')
  const keys = mode === 'by tenant' ? { metadata_keys: ['tenant'] } : {}
  const steps = { last: ['batch'], 'not last': ['batch', 'passing'], 'by tenant': ['batch'], 'in the queue': [] }
  const connectors = names.filter(name => name === 'deriving' || name.startsWith('forward'))
  const connectorOf = (name: Name) => (name === 'deriving' ? 'deriving' : name.replace(' to ', '/'))
  const localExporter = defineExporter({
    ...declared,
    type: 'local',
    ordering: 'none',
    local: true,
    config: z.strictObject(sending({ queue: false })),
    create: () => local,
  })
  return {
    exporters: Object.fromEntries([...ends.map(sink), ...(names.includes('deriving') ? [['made', {}] as const] : [])]),
    components: {
      batch: { definition: batch, config: { timeout: '200ms', ...keys } },
      passing: { definition: passing },
      ...(names.includes('durable') && { disk: { definition: diskOf(storage) } }),
      ...(names.includes('local') && { local: { definition: localExporter } }),
      ...Object.fromEntries(
        connectors.map(name => [connectorOf(name), { definition: name === 'deriving' ? deriving : forward }]),
      ),
    },
    pipelines: [
      { processors: steps[mode], exporters: names.map(name => (connectors.includes(name) ? connectorOf(name) : name)) },
      ...connectors.map(name => ({
        id: `traces/${connectorOf(name)}`,
        receivers: [connectorOf(name)],
        exporters: [name === 'deriving' ? 'made' : name],
      })),
    ],
  }
}

async function graphOf(names: readonly Name[], mode: Mode): Promise<void> {
  clock = new MovableClock()
  storage = new MemoryStorage()
  local = new ToySink()
  const host = new Host().provide(budgetKey, new Budget(1 << 30)).provide(clockKey, clock)
  toy = await toyGraph({ host, ...partsFor(names, mode) })
}

const sinkOf = (name: Name): ToySink => (name === 'local' ? local : toy.sinks[name === 'deriving' ? 'made' : name])
const push = (name: string, tenant = 'a') => toy.push(tracesRequest([{ spans: [name] }]), { metadata: { tenant } })
/** Of those that came, what a process that starts after a kill would not find, and the destination does not have. */
const missing = (name: Name): number => {
  const stored = storage.records.filter(({ left }) => left.has(`${name} traces`)).length
  return requests - sinkOf(name).all.length - stored
}

test.each(rows)('batch %s, %j', async (mode, names) => {
  await graphOf(names, mode)
  const isAwaited = names.some(name => answering.includes(name))
  const answers = mode === 'in the queue' || isAwaited ? undefined : 'batch'
  expect(explain(toy.plan).pipelines[0].custody?.id).toBe(answers)
  const heard: number[] = []
  for (let i = 0; i < requests; i++) {
    const { outcome } = push(`s${i}`, `t${i % tenants}`)
    void outcome.then(({ kind }) => heard.push(kind === 'success' ? clock.now() : -1))
    // A lone sender waits less than 2 ms more, whatever is behind it.
    await clock.advance(1)
    expect(heard).toHaveLength(i + 1)
    await clock.advance(19)
  }
  const figures = (of: (name: Name) => Partial<Expected>) => Object.fromEntries(names.map(name => [name, of(name)]))
  const rule = (name: Name) => expected(name, names, mode)
  const { length } = names.filter(name => name !== 'deriving')
  expect(figures(name => ({ atRisk: name === 'deriving' ? 0 : missing(name) }))).toEqual(
    figures(name => ({ atRisk: rule(name).atRisk })),
  )
  await clock.advance(400)
  expect(figures(name => ({ sent: sinkOf(name).taken.length }))).toEqual(figures(name => ({ sent: rule(name).sent })))
  // Each item once.
  expect(names.flatMap(name => sinkOf(name).all)).toHaveLength(requests * length)
})

describe('while something is on its way', () => {
  test.each(['direct', 'waiting', 'forward to direct'] as const)(
    'what waits for %s leaves when it has ended',
    async name => {
      await graphOf([name], 'last')
      const gate = Promise.withResolvers<undefined>()
      sinkOf(name).behave = () => gate.promise
      const pushed = [push('first')]
      await clock.advance(1)
      for (const one of ['a', 'b', 'c']) pushed.push(push(one))
      await clock.advance(100)
      expect(sinkOf(name).attempts).toEqual([['first']])
      gate.resolve(undefined)
      await clock.advance(2)
      expect(sinkOf(name).taken).toEqual([['first'], ['a', 'b', 'c']])
      expect((await Promise.all(pushed.map(one => one.outcome))).map(({ kind }) => kind)).toEqual(
        Array(4).fill('success'),
      )
    },
  )

  test('senders whom a slow destination holds back count as waiting', async () => {
    await graphOf(['memory'], 'last')
    const gate = Promise.withResolvers<undefined>()
    sinkOf('memory').behave = () => gate.promise
    for (const one of ['a', 'b']) {
      expect((await push(one).outcome).kind).toBe('success')
      await clock.advance(200)
    }
    expect(sinkOf('memory').attempts).toEqual([['a'], ['b']])
    let hasHeard = false
    const held = push('c')
    void held.outcome.then(() => (hasHeard = true))
    await clock.advance(50)
    expect(hasHeard).toBe(false)
    gate.resolve(undefined)
    await clock.advance(2)
    expect(sinkOf('memory').taken).toEqual([['a'], ['b'], ['c']])
    expect((await held.outcome).kind).toBe('success')
  })
})
