import { afterEach, describe, expect, test } from 'vitest'
import { batch } from '../../processors/batch.ts'
import { type Behaviour, toyGraph, type ToyGraph } from '../support/graph.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(100)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const graphWith = async (config: object, exporter: object = {}) => {
  toy = await toyGraph({
    exporters: { sink: exporter },
    components: { batch: { definition: batch, config } },
    pipelines: [{ processors: ['batch'], exporters: ['sink'] }],
  })
  return toy.sinks['sink']
}
const push = (...spans: string[]) => toy.push(tracesRequest([{ spans }]))
const stepBooks = () => toy.books.nodes.find(node => node.name.kind === 'processor')!
const later = (milliseconds: number) => new Promise(resolve => setTimeout(resolve, milliseconds))

/** Takes nothing until it is let go; says how many attempts wait. */
function gate(): { behave: Behaviour; open(): void; waiting(): number } {
  const waiting: (() => void)[] = []
  let closed = true
  return {
    behave: () =>
      closed ? new Promise(resolve => waiting.push(() => resolve(undefined))) : Promise.resolve(undefined),
    waiting: () => waiting.length,
    open() {
      closed = false
      for (const one of waiting.splice(0)) one()
    },
  }
}

/** Senders wait for what it gathers. */
const answering = { sending_queue: { wait_for_result: true } }

describe('when it goes out, where senders wait', () => {
  test('at once when nothing is being sent, what arrived in one turn together', async () => {
    const sink = await graphWith({ timeout: '60s' }, answering)
    void push('a')
    void push('b')
    await expect.poll(() => sink.taken, { interval: 2 }).toEqual([['a', 'b']])
  })

  test('while something is being sent it gathers, and goes out when that has ended', async () => {
    const sink = await graphWith({ timeout: '60s' }, answering)
    const { behave, open, waiting } = gate()
    sink.behave = behave
    void push('first')
    await expect.poll(waiting, { interval: 2 }).toBe(1)
    for (const name of ['a', 'b', 'c']) void push(name)
    await later(20)
    expect(sink.attempts).toEqual([['first']])
    expect(stepBooks().held()).toBe(3)
    open()
    await expect.poll(() => sink.taken, { interval: 2 }).toEqual([['first'], ['a', 'b', 'c']])
  })

  test('at send_batch_size, although something is being sent', async () => {
    const sink = await graphWith({ timeout: '60s', send_batch_size: 4 }, answering)
    const { behave, open, waiting } = gate()
    sink.behave = behave
    void push('first')
    await expect.poll(waiting, { interval: 2 }).toBe(1)
    void push('a', 'b')
    void push('c', 'd', 'e')
    expect(sink.attempts).toEqual([['first'], ['a', 'b', 'c', 'd', 'e']])
    open()
  })

  test('after timeout, although something is being sent', async () => {
    const sink = await graphWith({ timeout: '10ms' }, answering)
    const { behave, open, waiting } = gate()
    sink.behave = behave
    void push('first')
    await expect.poll(waiting, { interval: 2 }).toBe(1)
    void push('a')
    void push('b')
    await expect.poll(() => sink.attempts, { interval: 2 }).toEqual([['first'], ['a', 'b']])
    open()
  })

  test('with timeout 0 everything passes at once', async () => {
    const sink = await graphWith({ timeout: '0s' }, answering)
    void push('a')
    void push('b')
    expect(sink.attempts).toEqual([['a'], ['b']])
  })

  test('at the end of the process', async () => {
    const sink = await graphWith({ timeout: '60s' }, answering)
    const { behave, open, waiting } = gate()
    sink.behave = behave
    void push('first')
    await expect.poll(waiting, { interval: 2 }).toBe(1)
    const second = push('a')
    const stopped = toy.graph.stop(500)
    open()
    await stopped
    expect(sink.all).toEqual(['first', 'a'])
    expect((await second.outcome).kind).toBe('success')
  })
})

test('send_batch_max_size cuts, in order, and the senders hear one answer each', async () => {
  const sink = await graphWith({ send_batch_size: 4, send_batch_max_size: 4 })
  const outcomes = [push(...names('a', 3)), push(...names('b', 6))].map(one => one.outcome)
  expect((await Promise.all(outcomes)).map(one => one.kind)).toEqual(['success', 'success'])
  await expect.poll(() => sink.taken).toEqual([['a0', 'a1', 'a2', 'b0'], ['b1', 'b2', 'b3', 'b4'], ['b5']])
})

test.each([23, 24, 25])('%i items are cut into as few parts as there can be', async n => {
  const sink = await graphWith({ send_batch_size: 4, send_batch_max_size: 4 })
  expect((await push(...names('a', n)).outcome).kind).toBe('success')
  await expect.poll(() => sink.taken.flat()).toEqual(names('a', n))
  expect(sink.taken.slice(0, -1).every(part => part.length === 4)).toBe(true)
})

test('a lone sender that waits for the destination is not held up', async () => {
  await graphWith({ timeout: '60s' }, { sending_queue: { enabled: false } })
  const began = performance.now()
  for (let i = 0; i < 20; i++) expect((await push(`s${i}`).outcome).kind).toBe('success')
  expect((performance.now() - began) / 20).toBeLessThan(20)
})

test('what the destination says of a merged batch is told to all of its senders', async () => {
  const sink = await graphWith({}, { sending_queue: { enabled: false }, retry_on_failure: { enabled: false } })
  sink.behave = () => Promise.reject(new Error('down'))
  const outcomes = await Promise.all([push('a').outcome, push('b').outcome])
  expect(outcomes.map(one => one.kind)).toEqual(['refused', 'refused'])
  expect(sink.attempts).toEqual([['a', 'b']])
})

describe('with metadata_keys', () => {
  const from = (name: string, metadata?: Record<string, string>) =>
    toy.push(tracesRequest([{ spans: [name] }]), { ...(metadata && { metadata }) })

  test('each combination is batched apart, names in any case, none of it apart too', async () => {
    const sink = await graphWith({ metadata_keys: ['X-Tenant'], timeout: '60s' }, answering)
    for (const name of ['1', '2']) {
      void from(`a${name}`, { 'x-tenant': 'a', other: name })
      void from(`b${name}`, { 'x-tenant': 'b' })
      void from(`n${name}`)
    }
    await expect.poll(() => sink.taken.map(one => one.join()).toSorted()).toEqual(['a1,a2', 'b1,b2', 'n1,n2'])
  })

  test('more combinations than the limit are refused, those that are there go on', async () => {
    const sink = await graphWith({ metadata_keys: ['x'], metadata_cardinality_limit: 2, timeout: '60s' }, answering)
    const pushed = ['a', 'b', 'c', 'a'].map((x, i) => from(`${x}${i}`, { x }))
    const outcomes = await Promise.all(pushed.map(one => one.outcome))
    expect(outcomes.map(one => one.kind)).toEqual(['success', 'success', 'refused', 'success'])
    await expect.poll(() => sink.taken).toEqual([['a0', 'a3'], ['b1']])
    expect(stepBooks().returned.of('DELIVERY_BUSY').value).toBe(1)
  })
})

test('a largest batch below the least is told', () => {
  const { error } = batch.config.safeParse({ send_batch_size: 10, send_batch_max_size: 5 })
  expect(error?.issues).toMatchObject([
    { path: ['send_batch_max_size'], message: '`send_batch_max_size` must not be below `send_batch_size`' },
  ])
})
