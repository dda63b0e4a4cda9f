/**
 * What every step must survive: random data, throws at any callback, reloads of every kind, pressure, diamonds, senders that
 * give up, destinations that refuse, clocks that jump, a stop at any moment. After it the books balance, the budget is empty,
 * every delivery was answered once and ended for good once, and no timer is left.
 */
import * as fc from 'fast-check'
import { tap } from 'rxjs'
import { expect, test } from 'vitest'
import { components } from '../support/components.ts'
import { forward } from '../../connectors/forward.ts'
import { Budget, budgetKey } from '../../core/budget.ts'
import { type Clock, clockKey, type TimedWork } from '../../core/clock.ts'
import type { ConnectorDefinition, ProcessorContext, ProcessorDefinition, Step } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import type { Holder } from '../../core/holding.ts'
import { Host } from '../../core/host.ts'
import { readRequest } from '../../proto/request.ts'
import type { Signal } from '../../proto/signals.ts'
import { MovableClock } from '../support/clock.ts'
import { runnableConfig } from '../support/component-runs.ts'
import { type Pushed, toyGraph, type ToyGraph, type ToyParts, type ToyPipeline } from '../support/graph.ts'
import { requests, type Sample } from '../support/otlp.ts'
import { dedup } from '../toys/dedup.ts'
import { filter } from '../toys/filter.ts'
import { rewriting } from '../toys/rewriting.ts'
import { tailSampler } from '../toys/tail-sampler.ts'

type Command =
  | { readonly do: 'push'; readonly sample: Sample }
  | { readonly do: 'advance' | 'jump' | 'press'; readonly n: number }
  | { readonly do: 'withdraw' | 'throw' }
  | { readonly do: 'sink'; readonly mood: Mood }
  | { readonly do: 'reload'; readonly how: 'same' | 'other' | 'renamed' | 'moved' | 'gone' }

type Mood = 'takes' | 'refuses' | 'rejects' | 'hangs'
type Shape = 'alone' | 'diamond' | 'fan-out'

const commandOf = (signal: Signal): fc.Arbitrary<Command> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('push' as const),
        sample: requests().filter(one => one.signal === signal && readRequest(signal, one.body).items > 0),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('advance' as const), n: fc.integer({ min: 1, max: 3000 }) }) },
    fc.record({ do: fc.constant('jump' as const), n: fc.constant(3_600_000) }),
    fc.record({ do: fc.constant('press' as const), n: fc.integer({ min: 80, max: 100 }) }),
    fc.record({ do: fc.constant('withdraw' as const) }),
    { weight: 2, arbitrary: fc.record({ do: fc.constant('throw' as const) }) },
    fc.record({
      do: fc.constant('sink' as const),
      mood: fc.constantFrom<Mood>('takes', 'refuses', 'rejects', 'hangs'),
    }),
    fc.record({
      do: fc.constant('reload' as const),
      how: fc.constantFrom('same' as const, 'other' as const, 'renamed' as const, 'moved' as const, 'gone' as const),
    }),
  )

/** Throws at the next callback of whatever kind, once. */
class Trap {
  #isArmed = false

  arm(): void {
    this.#isArmed = true
  }

  readonly spring = (): void => {
    if (!this.#isArmed) return
    this.#isArmed = false
    throw new Error('boom')
  }
}

const clockWith = (clock: Clock, trap: Trap): Clock => {
  const trapped =
    (work: TimedWork): TimedWork =>
    () => {
      trap.spring()
      return work()
    }
  return {
    now: () => clock.now(),
    wall: () => clock.wall(),
    soon: work => clock.soon(trapped(work)),
    every: (ms, work) => clock.every(ms, trapped(work)),
    after: (ms, work) => clock.after(ms, trapped(work)),
  }
}

function holderWith(holder: Holder, trap: Trap): Holder {
  const through =
    <Args extends unknown[], T>(call: (...args: Args) => T) =>
    (...args: Args): T => {
      trap.spring()
      return call.apply(holder, args)
    }
  const { start, stop, idle, pressure, leave, adopt } = holder
  return {
    take: through(held => holder.take(held)),
    flush: through(() => holder.flush()),
    ...(start && { start: through(() => holder.start?.()) }),
    ...(stop && { stop: through(() => holder.stop?.()) }),
    ...(idle && { idle: through(() => holder.idle?.()) }),
    ...(pressure && { pressure: through((bytes: number, may: boolean) => holder.pressure?.(bytes, may)) }),
    ...(leave && { leave: through(() => holder.leave?.()) }),
    ...(adopt && { adopt: through((state: unknown) => holder.adopt?.(state) === true) }),
  }
}

type StepDefinition = ProcessorDefinition | ConnectorDefinition

/** The step, each of whose callbacks can be made to throw. */
function trapped(definition: StepDefinition, trap: Trap): StepDefinition {
  const contextWith = <C extends ProcessorContext>(context: C): C => {
    const { holding, clock } = context
    const mine = {
      ...context,
      clock: clockWith(clock, trap),
      holding: { ...holding, inFlight: 0, attach: (holder, emit) => holding.attach(holderWith(holder, trap), emit) },
    } satisfies ProcessorContext
    Object.defineProperty(mine.holding, 'inFlight', { get: () => holding.inFlight })
    return mine
  }
  const stepWith = (step: Step): Step => {
    return source => step(definition.hold === 'none' ? source.pipe(tap(trap.spring)) : source)
  }
  if (definition.kind === 'processor') {
    const create: ProcessorDefinition['create'] = (config, context) =>
      stepWith(definition.create(config, contextWith(context)))
    return { ...definition, create }
  }
  const create: ConnectorDefinition['create'] = (config, context) =>
    stepWith(definition.create(config, contextWith(context)))
  return { ...definition, create }
}

const ends = ['sink', 'sink/b']

function processorPipelines(id: string, signal: Signal, shape: Shape, how: string): ToyPipeline[] {
  const steps = how === 'gone' ? [] : how === 'moved' ? ['namespace_filter', id] : [id, 'namespace_filter']
  const step: ToyPipeline = { id: signal, processors: steps, exporters: ends }
  if (shape === 'alone') return [step]
  if (shape === 'fan-out') return [step, { ...step, id: `${signal}/b` }]
  return [
    { id: `${signal}/in`, exporters: ['forward', 'forward/b'] },
    { ...step, id: `${signal}/out`, receivers: ['forward', 'forward/b'] },
  ]
}

function connectorPipelines(
  ids: readonly string[],
  { joins }: ConnectorDefinition,
  signal: Signal,
  shape: Shape,
  how: string,
): ToyPipeline[] {
  const processors = how === 'moved' ? ['namespace_filter'] : []
  const into: ToyPipeline = { id: `${signal}/in`, processors, exporters: how === 'gone' ? ['sink'] : ids }
  const beside =
    shape === 'fan-out' ? [{ ...into, id: `${signal}/beside`, exporters: [...into.exporters, 'sink/b'] }] : []
  const out = joins.flatMap(([from, to]) =>
    from === signal && how !== 'gone' ? [{ id: `${to}/out`, receivers: ids, exporters: ends }] : [],
  )
  return [into, ...beside, ...out]
}

function partsOf(definition: StepDefinition, signal: Signal, config: object, shape: Shape, how: string): ToyParts {
  const isDiamond = shape === 'diamond'
  const id = how === 'renamed' ? `${definition.type}/again` : definition.type
  const ids = isDiamond && definition.kind === 'connector' ? [id, `${id}/b`] : [id]
  const retry_on_failure = { initial_interval: '1ms', max_interval: '2ms', max_elapsed_time: '20ms' }
  const filterOf = components.find(({ type }) => type === 'namespace_filter')
  const part = { definition, config: how === 'other' ? otherOf(definition, config) : config }
  const joints = isDiamond && definition.kind === 'processor' ? ['forward', 'forward/b'] : []
  return {
    exporters: { sink: { retry_on_failure }, 'sink/b': { retry_on_failure, sending_queue: { enabled: false } } },
    components: {
      ...Object.fromEntries(ids.map(one => [one, part])),
      ...(filterOf && { namespace_filter: { definition: filterOf } }),
      ...Object.fromEntries(joints.map(one => [one, { definition: forward }])),
    },
    pipelines:
      definition.kind === 'processor'
        ? processorPipelines(id, signal, shape, how)
        : connectorPipelines(ids, definition, signal, shape, how),
  }
}

/** Another configuration, where there is one to be had. */
function otherOf({ type, examples }: StepDefinition, config: object): object {
  if (type === 'toy_tail') return { most: 3 }
  const other = examples.at(-1)?.config
  return typeof other === 'object' && other !== null ? other : config
}

const failing: Readonly<Record<'refuses' | 'rejects', DeliveryError>> = {
  refuses: new DeliveryError('DELIVERY_BUSY', 'retry', 'later'),
  rejects: new DeliveryError('DELIVERY_REJECTED', 'rejected', 'no'),
}

/** Everything that was begun has a few turns to be told. */
async function soon(told: Promise<unknown>): Promise<'told' | 'never told'> {
  const late = new Promise<'never told'>(resolve => setTimeout(resolve, 200, 'never told'))
  return Promise.race([told.then(() => 'told' as const), late])
}

/** One run: a graph, a clock, and what was pushed. */
class Run {
  readonly pushed: Pushed[] = []
  readonly #toy: ToyGraph
  readonly #time: MovableClock
  readonly #budget: Budget
  readonly #partsFor: (how: string) => ToyParts
  readonly #signal: Signal
  readonly #trap: Trap
  readonly #hanging: (() => void)[] = []
  #mood: Mood = 'takes'

  constructor(of: {
    toy: ToyGraph
    time: MovableClock
    budget: Budget
    partsFor: (how: string) => ToyParts
    signal: Signal
    trap: Trap
  }) {
    this.#toy = of.toy
    this.#time = of.time
    this.#budget = of.budget
    this.#partsFor = of.partsFor
    this.#signal = of.signal
    this.#trap = of.trap
    this.#attend()
  }

  async take(command: Command): Promise<void> {
    const budget = this.#budget
    switch (command.do) {
      case 'push':
        this.pushed.push(this.#toy.push(command.sample.body, { signal: this.#signal }))
        return
      case 'advance':
        return this.#time.advance(command.n)
      case 'jump':
        return this.#time.jump(command.n)
      case 'press': {
        const bytes = Math.max(0, (budget.limit * command.n) / 100 - budget.used)
        budget.charge(bytes)
        await this.#time.advance(1)
        budget.release(bytes)
        return
      }
      case 'withdraw':
        this.pushed.at(-1)?.delivery.withdraw(new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'gone'))
        return
      case 'throw':
        this.#trap.arm()
        return
      case 'sink':
        this.#mood = command.mood
        if (command.mood !== 'hangs') for (const go of this.#hanging.splice(0)) go()
        return
      case 'reload':
        await this.#toy.reload(this.#partsFor(command.how), 50)
        this.#attend()
    }
  }

  async end(): Promise<void> {
    await this.#toy.graph.stop(50)
    for (const go of this.#hanging.splice(0)) go()
    for (const [i, { outcome, ended }] of this.pushed.entries()) {
      expect([i, await soon(outcome), await soon(ended)]).toEqual([i, 'told', 'told'])
    }
    expect(this.#toy.books.faults()).toEqual([])
    expect([this.#budget.used, this.#time.timers]).toEqual([0, 0])
  }

  #attend(): void {
    for (const sink of Object.values(this.#toy.sinks)) {
      sink.behave = (_, abort) => {
        if (this.#mood === 'takes') return Promise.resolve(undefined)
        if (this.#mood !== 'hangs') return Promise.reject(failing[this.#mood])
        return new Promise((resolve, reject) => {
          this.#hanging.push(() => resolve(undefined))
          abort.addEventListener('abort', () => reject(failing.refuses))
        })
      }
    }
  }
}

const toys = [filter, rewriting, tailSampler, dedup] as readonly ProcessorDefinition[]
/** Processors with one of their signals, connectors with each. */
const all = [...components, ...toys].flatMap((one): readonly [string, StepDefinition, Signal][] => {
  if (one.kind === 'processor') return [[one.type, one, one.signals[0]]]
  return one.kind === 'connector' ? one.signals.map(signal => [`connector ${one.type} of ${signal}`, one, signal]) : []
})

test.each(all)('%s survives', { timeout: 120_000 }, async (_, definition, signal) => {
  const shapes = fc.constantFrom<Shape>('alone', 'diamond', 'fan-out')
  const config = toys.some(toy => toy === definition) ? {} : (runnableConfig(definition, 1) as object)
  await fc.assert(
    fc.asyncProperty(shapes, fc.array(commandOf(signal), { maxLength: 14 }), async (shape, commands) => {
      const time = new MovableClock()
      const budget = new Budget(1 << 22)
      const trap = new Trap()
      const step = trapped(definition, trap)
      const partsFor = (how: string): ToyParts => partsOf(step, signal, config, shape, how)
      const host = new Host().provide(clockKey, time).provide(budgetKey, budget)
      const toy = await toyGraph({ ...partsFor('same'), host })
      const run = new Run({ toy, time, budget, partsFor, signal, trap })
      try {
        for (const command of commands) await run.take(command)
      } finally {
        await run.end()
      }
    }),
    { numRuns: 30, endOnFailure: true },
  )
})
