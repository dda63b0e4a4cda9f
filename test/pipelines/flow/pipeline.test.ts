import { afterEach, expect, test } from 'vitest'
import * as z from 'zod'
import { defineProcessor, defineReceiver, type ReceiverContext } from '../../../core/component.ts'
import type { Held } from '../../../core/holding.ts'
import { batch } from '../../../processors/batch.ts'
import { holding } from '../../../processors/steps.ts'
import { toyGraph, type ToyGraph, type ToyParts } from '../../support/graph.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(100)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const span = (name: string) => tracesRequest([{ spans: [name] }])
const turn = () => new Promise(resolve => setTimeout(resolve, 5))

/** A second receiver, that a test pushes through. */
function another() {
  const contexts: ReceiverContext[] = []
  const definition = defineReceiver({
    type: 'other',
    stability: 'stable',
    summary: 'Pushes what a test says.',
    signals: ['traces'],
    config: z.strictObject({}),
    examples: [],
    create(_config, context) {
      contexts.push(context)
      return {}
    },
  })
  return { definition, push: (name: string) => toy.pushTo(contexts[0], span(name)) }
}

/** The exporter stands still until the returned function is called. */
function hang(): () => void {
  const waiting: (() => void)[] = []
  toy.sinks['sink'].behave = () => new Promise(resolve => waiting.push(() => resolve(undefined)))
  return () => {
    toy.sinks['sink'].behave = () => Promise.resolve(undefined)
    for (const one of waiting.splice(0)) one()
  }
}

const narrow = { sink: { sending_queue: { queue_size: 1, num_consumers: 1, block_on_overflow: true } } }
const both = ['toy', 'other']

test('edges lead from component to component, and what went over them counts on when a pipeline changes', async () => {
  const { definition, push } = another()
  const components = { other: { definition }, batch: { definition: batch, config: { timeout: '1ms' } } }
  const parts = (processors: string[], sinks: string[]): ToyParts => ({
    exporters: Object.fromEntries(sinks.map(id => [id, {}])),
    components,
    pipelines: [{ receivers: both, processors, exporters: sinks }],
  })
  const edges = () => toy.books.edges.map(({ from, to, carried }) => `${from.name.id} > ${to.name.id}: ${carried}`)
  toy = await toyGraph(parts([], ['sink', 'sink/b']))
  expect(edges().toSorted()).toEqual(['other > sink/b: 0', 'other > sink: 0', 'toy > sink/b: 0', 'toy > sink: 0'])
  for (const one of [toy.push(span('a')), push('b')]) await one.outcome
  await toy.reload(parts(['batch'], ['sink']))
  await toy.push(span('c')).outcome
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['a', 'b', 'c'])
  expect(edges().toSorted()).toEqual([
    'batch > sink: 1',
    'other > batch: 0',
    'other > sink/b: 1',
    'other > sink: 1',
    'toy > batch: 1',
    'toy > sink/b: 1',
    'toy > sink: 1',
  ])
  expect(toy.books.faults()).toEqual([])
})

test.each([
  ['at the end of the pipeline', []],
  ['at its door', ['batch']],
])('senders of all receivers wait in one line for room, %s', async (_, processors) => {
  const { definition, push } = another()
  toy = await toyGraph({
    exporters: narrow,
    components: { other: { definition }, batch: { definition: batch, config: { timeout: '1ms' } } },
    pipelines: [{ receivers: both, processors, exporters: ['sink'] }],
  })
  const release = hang()
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  const pushed = []
  for (const [i, name] of names.entries()) {
    pushed.push(i % 2 === 0 ? toy.push(span(name)) : push(name))
    await turn()
  }
  expect(pushed.at(-1)?.delivery.open).toBe(1)
  expect(toy.books.faults()).toEqual([])
  release()
  for (const { outcome } of pushed) expect((await outcome).kind).toBe('success')
  await expect.poll(() => toy.sinks['sink'].all).toEqual(names)
})

test('the senders of a receiver that goes are refused at a shut door; those of others wait on', async () => {
  const { definition, push } = another()
  const parts = (receivers: string[]): ToyParts => ({
    exporters: narrow,
    components: { other: { definition }, batch: { definition: batch, config: { timeout: '1ms' } } },
    pipelines: [{ receivers, processors: ['batch'], exporters: ['sink'] }],
  })
  toy = await toyGraph(parts(both))
  const release = hang()
  for (let i = 0; i < 4; i++) {
    toy.push(span(`before ${i}`))
    await turn()
  }
  const [mine, theirs] = [toy.push(span('mine')), push('theirs')]
  const { over } = await toy.reload(parts(['toy']))
  expect((await theirs.outcome).kind).toBe('refused')
  expect(mine.delivery.open).toBe(1)
  expect(toy.books.faults()).toEqual([])
  release()
  expect((await mine.outcome).kind).toBe('success')
  await over
})

test('what a new instance lets go at once, when it is given what the one before kept, is handed on', async () => {
  const definition = defineProcessor({
    type: 'toy_step',
    stability: 'stable',
    summary: 'Keeps what it gets, or not.',
    signals: ['traces'],
    hold: 'state',
    reload: 'again',
    config: z.strictObject({ keeps: z.boolean() }),
    examples: [],
    create({ keeps }, context) {
      const kept: Held[] = []
      return holding(context, {
        take: held => void (keeps ? kept.push(held) : held.emit()),
        flush: () => kept.splice(0).forEach(held => held.emit()),
      })
    },
  })
  const parts = (keeps: boolean): ToyParts => ({
    exporters: { sink: {} },
    components: { toy_step: { definition, config: { keeps } } },
    pipelines: [{ processors: ['toy_step'], exporters: ['sink'] }],
  })
  toy = await toyGraph(parts(true))
  expect((await toy.push(span('kept')).outcome).kind).toBe('success')
  await toy.reload(parts(false))
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['kept'])
  expect(toy.books.faults()).toEqual([])
})
