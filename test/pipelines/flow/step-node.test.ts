import { filter, Observable, take, tap } from 'rxjs'
import { afterEach, expect, test } from 'vitest'
import * as z from 'zod'
import { type Batch } from '../../../core/batch.ts'
import { Budget, budgetKey } from '../../../core/budget.ts'
import { clockKey } from '../../../core/clock.ts'
import {
  defineConnector,
  defineProcessor,
  type Hold,
  type ProcessorContext,
  type Step,
} from '../../../core/component.ts'
import { DeliveryError } from '../../../core/errors.ts'
import type { Held, Receipt } from '../../../core/holding.ts'
import { Host } from '../../../core/host.ts'
import { each, holding } from '../../../processors/steps.ts'
import { MovableClock } from '../../support/clock.ts'
import { toyGraph, type ToyGraph } from '../../support/graph.ts'
import { encodeGroups } from '../../../proto/group.ts'
import { names, spanNames, tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(200)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const processor = (create: (context: ProcessorContext) => Step, hold: Hold = 'none') => ({
  definition: defineProcessor({
    type: 'toy_step',
    stability: 'stable',
    summary: 'Does what a test says.',
    signals: ['traces', 'metrics', 'logs'],
    hold,
    config: z.strictObject({}),
    examples: [],
    create: (_config: object, context) => create(context),
  }),
})
const graphWith = (create: (context: ProcessorContext) => Step, hold?: Hold, host?: Host, sink = {}) =>
  toyGraph({
    ...(host && { host }),
    exporters: { sink },
    components: { toy_step: processor(create, hold) },
    pipelines: [{ processors: ['toy_step'], exporters: ['sink'] }],
  })
/** Senders wait for the destination's answer, so that a step in front of it does not answer them. */
const waiting = { sending_queue: { wait_for_result: true } }
const span = (name: string) => tracesRequest([{ spans: [name] }])
const stepBooks = () => toy.books.nodes.find(node => node.name.kind === 'processor')!

test('a stateless step that throws refuses that batch and no other', async () => {
  let calls = 0
  toy = await graphWith(context =>
    each(context, batch => {
      if (++calls === 2) throw new Error('boom')
      return batch
    }),
  )
  const outcomes = []
  for (const name of ['a', 'b', 'c']) outcomes.push(await toy.push(span(name)).outcome)
  expect(outcomes.map(one => one.kind)).toEqual(['success', 'refused', 'success'])
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['a', 'c'])
  expect(stepBooks().returned.of('DELIVERY_STEP_FAILED').value).toBe(1)
})

test('a step that errors is restarted; exactly what it held is refused', async () => {
  let armed = true
  toy = await graphWith(() =>
    tap(() => {
      if (!armed) return
      armed = false
      throw new Error('boom')
    }),
  )
  expect((await toy.push(span('a')).outcome).kind).toBe('refused')
  expect(await toy.push(span('b')).outcome).toMatchObject({ kind: 'refused', error: { code: 'DELIVERY_STEP_FAILED' } })
  await expect.poll(async () => (await toy.push(span('c')).outcome).kind).toBe('success')
  expect(toy.sinks['sink'].all).not.toContain('a')
})

test('a step that completes by itself is restarted, what it held is refused', async () => {
  toy = await graphWith(() => take(1))
  expect((await toy.push(span('a')).outcome).kind).toBe('success')
  expect((await toy.push(span('b')).outcome).kind).toBe('refused')
  await expect.poll(async () => (await toy.push(span('c')).outcome).kind).toBe('success')
})

test('a step that hangs holds what it was given, in the books; a stop refuses it', async () => {
  toy = await graphWith(context => holding(context, { take() {}, flush() {} }), 'flush', undefined, waiting)
  const { outcome } = toy.push(tracesRequest([{ spans: names('s', 3) }]))
  expect(stepBooks().held()).toBe(3)
  expect(toy.books.faults()).toEqual([])
  await toy.graph.stop(30)
  expect(await outcome).toMatchObject({ kind: 'refused', error: { code: 'DELIVERY_STOPPING' } })
})

test('what a step that does not hold swallows is given back, and counted as a fault of it', async () => {
  toy = await graphWith(() => source => new Observable<Batch>(() => source.subscribe(() => {})))
  const outcome = await toy.push(span('a')).outcome
  expect(outcome).toMatchObject({ kind: 'refused', error: { code: 'DELIVERY_STEP_FAILED' } })
  expect(stepBooks().internalFaults).toBe(1)
})

test('what it swallows of several requests is given back to those it is of', async () => {
  const spans = (batch: Batch) => spanNames(encodeGroups(batch.groups))
  toy = await graphWith(
    () => source =>
      new Observable<Batch>(subscriber =>
        source.subscribe(batch => {
          const [kept] = batch.partition(group => spanNames(encodeGroups([group]))[0] !== 'lost')
          if (kept !== undefined && spans(kept).length > 0) subscriber.next(kept)
        }),
      ),
  )
  const body = tracesRequest([{ spans: ['kept'] }, { spans: ['lost'] }])
  expect((await toy.push(body).outcome).kind).toBe('refused')
  expect((await toy.push(span('kept')).outcome).kind).toBe('success')
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['kept', 'kept'])
  expect(stepBooks()).toMatchObject({ in: 3, out: 2 })
})

test('a throw in a subscription of a step costs that batch, and neither the process nor the next', async () => {
  let armed = true
  toy = await graphWith(
    () => source =>
      new Observable<Batch>(subscriber =>
        source.subscribe(batch => {
          if (armed) {
            armed = false
            throw new Error('boom')
          }
          subscriber.next(batch)
        }),
      ),
  )
  expect((await toy.push(span('a')).outcome).kind).toBe('refused')
  await expect.poll(() => toy.books.stray).toBe(1)
  expect((await toy.push(span('b')).outcome).kind).toBe('success')
})

test('a step that ends a part and then throws loses nothing: what it has not answered for is given back', async () => {
  toy = await graphWith(
    context => source =>
      new Observable<Batch>(subscriber =>
        source.subscribe({
          next: batch => {
            const [first, rest] = batch.cut(1)
            subscriber.next(first)
            if (rest !== undefined) subscriber.error(new Error('boom'))
          },
          complete: () => subscriber.complete(),
          error: () => context.fault('never'),
        }),
      ),
  )
  const outcome = await toy.push(tracesRequest([{ spans: names('s', 3) }])).outcome
  expect(outcome).toMatchObject({ kind: 'refused', mayBeSentTwice: 1 })
  expect(stepBooks()).toMatchObject({ in: 3, out: 1 })
  await expect.poll(async () => (await toy.push(span('b')).outcome).kind).toBe('success')
})

test('a step that holds and then emits what it joined ends every delivery once', async () => {
  toy = await graphWith(context => {
    const kept: Held[] = []
    const flush = (): void => {
      if (kept.length > 0) context.holding.join(kept.splice(0)).emit()
    }
    return holding(context, {
      take(held) {
        if (kept.push(held) === 3) flush()
      },
      flush,
    })
  }, 'flush')
  const pushed = ['a', 'b', 'c', 'd'].map(name => toy.push(span(name)))
  for (const one of pushed.slice(0, 3)) expect((await one.outcome).kind).toBe('success')
  await toy.graph.stop(100)
  expect((await pushed[3].outcome).kind).toBe('success')
  expect(toy.sinks['sink'].taken).toEqual([['a', 'b', 'c'], ['d']])
})

test('a state step takes custody: the sender hears success, what it emits has nobody waiting', async () => {
  const kept: Held[] = []
  toy = await graphWith(
    context => holding(context, { take: held => void kept.push(held), flush: () => kept.forEach(one => one.emit()) }),
    'state',
  )
  expect((await toy.push(span('a')).outcome).kind).toBe('success')
  expect(toy.sinks['sink'].all).toEqual([])
  expect(kept[0].awaited).toBe(false)
  kept.splice(0)[0].emit()
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['a'])
})

test('what was answered and comes to a step that is being made anew is lost in the books, not refused', async () => {
  const kept: Held[] = []
  const keeper = processor(context => holding(context, { take: held => void kept.push(held), flush() {} }), 'state')
  toy = await toyGraph({
    exporters: { sink: {} },
    components: { keeper, toy_step: processor(() => source => source.pipe(take(0))) },
    pipelines: [{ processors: ['keeper', 'toy_step'], exporters: ['sink'] }],
  })
  expect((await toy.push(span('a')).outcome).kind).toBe('success')
  kept.splice(0)[0].emit()
  const books = toy.books.nodes.find(({ name }) => name.id === 'toy_step')!
  expect([books.lost.of('step_failed').value, books.refused.total]).toEqual([1, 0])
})

test('what is emitted leaves once the step has returned, together where it may', async () => {
  const log: string[] = []
  toy = await graphWith(
    context =>
      holding(context, {
        take(held) {
          const [first, rest] = held.cut(1)
          first.emit()
          log.push(`sent ${toy.sinks['sink'].batches.length}`)
          const [second, third] = rest?.cut(1) ?? []
          second?.emit()
          third?.emit('alone')
        },
        flush() {},
      }),
    'flush',
  )
  expect((await toy.push(tracesRequest([{ spans: ['a', 'b', 'c'] }])).outcome).kind).toBe('success')
  expect(log).toEqual(['sent 0'])
  expect(toy.sinks['sink'].taken).toEqual([['a', 'b'], ['c']])
})

test('a throw gives back what it was thrown on, and what was cut from it; what was kept before stays', async () => {
  const kept: Held[] = []
  toy = await graphWith(
    context =>
      holding(context, {
        take(held) {
          if (held.items === 1) return void kept.push(held)
          held.cut(1)[0].emit()
          throw new Error('boom')
        },
        flush: () => kept.forEach(one => one.emit()),
      }),
    'flush',
  )
  const first = toy.push(span('a'))
  expect(await toy.push(tracesRequest([{ spans: ['b', 'c', 'd'] }])).outcome).toMatchObject({ kind: 'refused' })
  expect(stepBooks()).toMatchObject({ internalFaults: 1, in: 4 })
  expect(stepBooks().returned.of('DELIVERY_STEP_FAILED').value).toBe(2)
  await toy.graph.stop(100)
  expect((await first.outcome).kind).toBe('success')
  expect(toy.sinks['sink'].all).toEqual(['b', 'a'])
})

test('the third throw within a minute makes a new instance, which is given what was kept, oldest first', async () => {
  const time = new MovableClock()
  const taken: string[] = []
  let instances = 0
  toy = await graphWith(
    context => {
      const mine = ++instances
      return holding(context, {
        take(held) {
          const [name] = spanNames(encodeGroups(held.batch.groups))
          taken.push(`${mine} ${name} ${held.since}`)
          if (name === 'bad') throw new Error('boom')
          if (mine === 2) held.emit()
        },
        flush() {},
      })
    },
    'flush',
    new Host().provide(clockKey, time).provide(budgetKey, new Budget(1 << 30)),
  )
  const kept = ['a', 'b'].map(name => toy.push(span(name)))
  await time.advance(7)
  for (let i = 0; i < 3; i++) expect((await toy.push(span('bad')).outcome).kind).toBe('refused')
  await expect.poll(() => instances).toBe(2)
  for (const one of kept) expect((await one.outcome).kind).toBe('success')
  expect(taken).toEqual(['1 a 0', '1 b 0', '1 bad 7', '1 bad 7', '1 bad 7', '2 a 0', '2 b 0'])
})

test('a throw in a timer is a fault and ends nothing', async () => {
  const time = new MovableClock()
  toy = await graphWith(
    context => {
      let kept: Held | undefined
      context.clock.after(10, () => {
        throw new Error('boom')
      })
      context.clock.after(20, () => kept?.emit())
      return holding(context, { take: held => void (kept = held), flush() {} })
    },
    'flush',
    new Host().provide(clockKey, time).provide(budgetKey, new Budget(1 << 30)),
  )
  const { outcome } = toy.push(span('a'))
  await time.advance(15)
  expect(stepBooks()).toMatchObject({ internalFaults: 1 })
  await time.advance(10)
  expect((await outcome).kind).toBe('success')
})

test('a handle that is used twice is counted as a fault, and does nothing', async () => {
  toy = await graphWith(
    context =>
      holding(context, {
        take(held) {
          held.emit()
          held.emit()
          held.cut(1)
        },
        flush() {},
      }),
    'flush',
  )
  expect((await toy.push(span('a')).outcome).kind).toBe('success')
  expect(stepBooks().internalFaults).toBe(1)
  expect(toy.sinks['sink'].all).toEqual(['a'])
})

test('a sender that gave up before custody is not served', async () => {
  let kept: Held | undefined
  toy = await graphWith(
    context => holding(context, { take: held => void (kept = held), flush() {} }),
    'flush',
    undefined,
    waiting,
  )
  // Not answered first, as what is behind it is asked for its answer.
  const { outcome, delivery } = toy.push(span('a'))
  delivery.withdraw(new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'gone'))
  kept?.emit()
  await outcome
  expect(toy.sinks['sink'].attempts).toEqual([])
})

test('what is replaced is settled with what was made in its place; nobody else hears of that', async () => {
  const receipts: Receipt[] = []
  let context: ProcessorContext | undefined
  toy = await graphWith(given => {
    context = given
    return holding(given, { take: held => void receipts.push(held.replace()), flush() {} })
  }, 'state')
  const pushed = [toy.push(span('a')), toy.push(span('b'))]
  for (const one of pushed) expect((await one.outcome).kind).toBe('success')
  const origin = { receiver: '', transport: '', peer: undefined, metadata: undefined, auth: undefined }
  toy.sinks['sink'].behave = () => Promise.reject(new DeliveryError('DELIVERY_REJECTED', 'rejected', 'no'))
  context?.holding.make('traces', span('both'), origin, receipts)
  for (const one of pushed) expect(await one.ended).toEqual({ again: false, rejected: 1, lost: 0, reason: 'no' })
  expect(stepBooks()).toMatchObject({ in: 2, consumed: 2, created: 1, out: 1 })
})

test('what was to be replaced and never was is to be read again', async () => {
  toy = await graphWith(context => holding(context, { take: held => void held.replace(), flush() {} }), 'state')
  const { ended } = toy.push(span('a'))
  await toy.graph.stop(100)
  expect(await ended).toMatchObject({ again: true })
})

test('a dropped batch is no error and has its reason in the books', async () => {
  toy = await graphWith(context => {
    const reason = context.reason('because', 'rule')
    return each(context, batch => ({ passes: undefined, ends: [{ batch, reason }] }))
  })
  expect((await toy.push(tracesRequest([{ spans: names('s', 4) }])).outcome).kind).toBe('success')
  expect(stepBooks().dropped.of('because').value).toBe(4)
})

test('a connector joins pipelines; what comes through it is in the books of both', async () => {
  const forward = defineConnector({
    type: 'toy_forward',
    stability: 'stable',
    summary: 'Passes on.',
    signals: ['traces', 'metrics', 'logs'],
    joins: [['traces', 'traces']],
    hold: 'none',
    config: z.strictObject({}),
    examples: [],
    create: (_config: object, context) => each(context, batch => batch),
  })
  toy = await toyGraph({
    exporters: { 'sink/a': {}, 'sink/b': {} },
    components: { toy_forward: { definition: forward } },
    pipelines: [
      { id: 'traces/in', exporters: ['toy_forward'] },
      { id: 'traces/a', receivers: ['toy_forward'], exporters: ['sink/a'] },
      { id: 'traces/b', receivers: ['toy_forward'], exporters: ['sink/b'] },
    ],
  })
  expect((await toy.push(span('x')).outcome).kind).toBe('success')
  await expect.poll(() => [toy.sinks['sink/a'].all, toy.sinks['sink/b'].all]).toEqual([['x'], ['x']])
})

test('what is refused after its senders were answered is lost, and a source reads it again', async () => {
  const kept: Held[] = []
  toy = await graphWith(context => holding(context, { take: held => void kept.push(held), flush() {} }), 'state')
  const { outcome, ended } = toy.push(span('a'))
  expect((await outcome).kind).toBe('success')
  kept[0].refuse(new DeliveryError('DELIVERY_BUSY', 'retry', 'later'))
  expect(await ended).toMatchObject({ again: true })
  expect([stepBooks().returned.total, stepBooks().lost.of('step_failed').value]).toEqual([0, 1])
})

test('what was made here and does not come out is given up, and in the books', async () => {
  let context: ProcessorContext | undefined
  toy = await graphWith(given => {
    context = given
    const step = holding(given, { take: held => held.emit(), flush() {} })
    return source => step(source).pipe(filter(() => false))
  }, 'state')
  const origin = { receiver: '', transport: '', peer: undefined, metadata: undefined, auth: undefined }
  context?.holding.make('traces', span('made'), origin)
  expect(stepBooks()).toMatchObject({ created: 1, out: 0 })
  expect(stepBooks().lost.of('step_failed').value).toBe(1)
})
