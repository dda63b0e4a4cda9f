import { afterEach, describe, expect, test } from 'vitest'
import { toyGraph, type ToyGraph, type ToySink } from '../../support/graph.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(50)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const span = (name: string) => tracesRequest([{ spans: [name] }])
/** Hangs until released or stopped. */
function hang(sink: ToySink): () => void {
  const waiting: (() => void)[] = []
  sink.behave = () => new Promise(resolve => waiting.push(() => resolve(undefined)))
  return () => {
    sink.behave = () => Promise.resolve(undefined)
    for (const one of waiting.splice(0)) one()
  }
}
const small = (more: object) => ({ sending_queue: { queue_size: 2, num_consumers: 1, ...more } })
const books = (id: string) => toy.books.nodes.find(node => node.name.id === id)!

describe('two exporters, one hung', () => {
  test('refuse: when its queue is full, senders are refused before the other takes anything, so that a retry makes no duplicate', async () => {
    toy = await toyGraph({ exporters: { 'sink/ok': {}, 'sink/hung': small({ when_full: 'refuse' }) } })
    const release = hang(toy.sinks['sink/hung'])
    const outcomes = []
    for (const name of ['a', 'b', 'c', 'd']) outcomes.push((await toy.push(span(name)).outcome).kind)
    expect(outcomes).toEqual(['success', 'success', 'refused', 'refused'])
    await expect.poll(() => toy.sinks['sink/ok'].all).toEqual(['a', 'b'])
    expect(books('sink/hung').refused.of('queue_full').value).toBe(2)
    expect(books('sink/ok').refused.of('other_destination_full').value).toBe(2)
    release()
    await expect.poll(() => toy.sinks['sink/hung'].all).toEqual(['a', 'b'])
    expect((await toy.push(span('c')).outcome).kind).toBe('success')
    await expect.poll(() => toy.sinks['sink/ok'].all).toEqual(['a', 'b', 'c'])
  })

  test('drop: it never refuses; what finds no room is booked as queue_full and the other gets everything', async () => {
    toy = await toyGraph({ exporters: { 'sink/ok': {}, 'sink/hung': small({ when_full: 'drop' }) } })
    hang(toy.sinks['sink/hung'])
    for (const name of ['a', 'b', 'c', 'd']) expect((await toy.push(span(name)).outcome).kind).toBe('success')
    await expect.poll(() => toy.sinks['sink/ok'].all).toEqual(['a', 'b', 'c', 'd'])
    expect(books('sink/hung').lost.of('queue_full').value).toBe(2)
  })

  test('block_on_overflow: senders wait for room and none is refused', async () => {
    toy = await toyGraph({ exporters: { 'sink/ok': {}, 'sink/hung': small({ block_on_overflow: true }) } })
    const release = hang(toy.sinks['sink/hung'])
    const pushed = ['a', 'b', 'c', 'd'].map(name => toy.push(span(name)))
    await Promise.all(pushed.slice(0, 2).map(one => one.outcome))
    expect(pushed[2].delivery.open).toBeGreaterThan(0)
    expect(toy.books.faults()).toEqual([])
    release()
    for (const one of pushed) expect((await one.outcome).kind).toBe('success')
    await expect.poll(() => toy.sinks['sink/hung'].all).toEqual(['a', 'b', 'c', 'd'])
    expect(toy.sinks['sink/ok'].all).toEqual(['a', 'b', 'c', 'd'])
  })
})

test('two pipelines that share an exporter and a receiver are one instance each, and each item goes through both', async () => {
  toy = await toyGraph({
    exporters: { sink: {} },
    pipelines: [
      { id: 'traces/a', exporters: ['sink'] },
      { id: 'traces/b', exporters: ['sink'] },
    ],
  })
  expect((await toy.push(span('x')).outcome).kind).toBe('success')
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['x', 'x'])
  expect(toy.graph.components.map(one => one.id)).toEqual(['toy', 'sink'])
})

test.each(['requests', 'items', 'bytes'])('queue_size is obeyed in the unit of sizer %s', async sizer => {
  const body = tracesRequest([{ spans: ['a', 'b'] }])
  const one = { requests: 1, items: 2, bytes: body.length }[sizer]!
  toy = await toyGraph({ exporters: { sink: { sending_queue: { sizer, queue_size: 3 * one, num_consumers: 1 } } } })
  hang(toy.sinks['sink'])
  const kinds = []
  for (let i = 0; i < 5; i++) kinds.push((await toy.push(body).outcome).kind)
  expect(kinds).toEqual(['success', 'success', 'success', 'refused', 'refused'])
  expect(toy.graph.exporters()[0]).toMatchObject({ queueSize: 3 * one, queueCapacity: 3 * one, inFlight: 1 })
})
