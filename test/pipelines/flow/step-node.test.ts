import { Observable, take, tap } from 'rxjs'
import { afterEach, expect, test } from 'vitest'
import * as z from 'zod'
import { type Batch } from '../../../core/batch.ts'
import { mergeBatches } from '../../../core/merge.ts'
import {
  defineConnector,
  defineProcessor,
  type Hold,
  type ProcessorContext,
  type Step,
} from '../../../core/component.ts'
import { each } from '../../../processors/steps.ts'
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
const graphWith = (create: (context: ProcessorContext) => Step, hold?: Hold) =>
  toyGraph({
    exporters: { sink: {} },
    components: { toy_step: processor(create, hold) },
    pipelines: [{ processors: ['toy_step'], exporters: ['sink'] }],
  })
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
  const kept: Batch[] = []
  toy = await graphWith(context => {
    context.holds(() => kept.reduce((sum, batch) => sum + batch.items, 0))
    return source => new Observable<Batch>(() => source.subscribe(batch => void kept.push(batch)))
  }, 'flush')
  const { outcome } = toy.push(tracesRequest([{ spans: names('s', 3) }]))
  expect(stepBooks().held()).toBe(3)
  expect(toy.books.faults()).toEqual([])
  kept.length = 0
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

test('a step that holds and then emits merged batches ends every delivery once', async () => {
  toy = await graphWith(context => {
    let kept: Batch[] = []
    context.holds(() => kept.reduce((sum, batch) => sum + batch.items, 0))
    return source =>
      new Observable<Batch>(subscriber =>
        source.subscribe({
          next: batch => {
            kept.push(batch)
            if (kept.length < 3) return
            const merged = mergeBatches(kept)
            kept = []
            subscriber.next(merged)
          },
          complete: () => {
            if (kept.length > 0) subscriber.next(mergeBatches(kept.splice(0)))
            subscriber.complete()
          },
        }),
      )
  }, 'flush')
  const pushed = ['a', 'b', 'c', 'd'].map(name => toy.push(span(name)))
  for (const one of pushed.slice(0, 3)) expect((await one.outcome).kind).toBe('success')
  await toy.graph.stop(100)
  expect((await pushed[3].outcome).kind).toBe('success')
  expect(toy.sinks['sink'].taken).toEqual([['a', 'b', 'c'], ['d']])
})

test('a state step takes custody: the sender hears success, what it emits has nobody waiting', async () => {
  let flush: () => void = () => {}
  toy = await graphWith(context => {
    const kept: Batch[] = []
    context.holds(() => kept.reduce((sum, batch) => sum + batch.items, 0))
    return source =>
      new Observable<Batch>(subscriber => {
        flush = () => {
          for (const batch of kept.splice(0)) subscriber.next(batch)
        }
        return source.subscribe({
          next: batch => void kept.push(batch),
          complete: () => {
            flush()
            subscriber.complete()
          },
        })
      })
  }, 'state')
  expect((await toy.push(span('a')).outcome).kind).toBe('success')
  expect(toy.sinks['sink'].all).toEqual([])
  flush()
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['a'])
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
