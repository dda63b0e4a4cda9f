import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { DeliveryError } from '../../core/errors.ts'
import { ownTransport } from '../../core/journal.ts'
import { namespaceFilter } from '../../processors/namespace_filter.ts'
import { toyGraph, type ToyGraph } from '../support/graph.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(50)
  expect(toy.books.faults()).toEqual([])
})

test('a batch that lost items to a filter is found by component and reason, with counts and a sample of its resource', async () => {
  toy = await toyGraph({
    exporters: { sink: {} },
    components: { namespace_filter: { definition: namespaceFilter } },
    pipelines: [{ processors: ['namespace_filter'], exporters: ['sink'] }],
  })
  for (let i = 0; i < 50; i++) await toy.push(tracesRequest([{ namespace: 'shop', spans: names('s', 5) }])).outcome
  await toy.push(
    tracesRequest([
      { namespace: 'kube-system', spans: names('lost', 30) },
      { namespace: 'shop', spans: names('s', 5) },
    ]),
  ).outcome
  const [record, ...others] = toy.journal.find({ component: 'namespace_filter', what: 'dropped' })
  expect(others).toEqual([])
  expect(record).toMatchObject({ receiver: 'toy', signal: 'traces', items: 35, outcome: 'success' })
  expect(record.events).toContainEqual(
    expect.objectContaining({
      what: 'dropped',
      items: 30,
      reason: 'namespace_system',
      sample: expect.objectContaining({ attributes: { 'k8s.namespace.name': 'kube-system' } }),
    }),
  )
  await expect.poll(() => record.events.at(-1)).toMatchObject({ what: 'delivered', component: 'sink', items: 5 })
  expect(record.events.at(-1)?.took).toBeGreaterThanOrEqual(0)
  expect(toy.journal.kept).toBe(toy.journal.begun)
  expect(toy.journal.get(record.id)).toBe(record)
})

test('each attempt of a failing batch is told with its answer, and its end', async () => {
  toy = await toyGraph({ exporters: { sink: { retry_on_failure: { initial_interval: '1ms', max_interval: '2ms' } } } })
  let left = 3
  toy.sinks['sink'].behave = () =>
    left-- > 0
      ? Promise.reject(new DeliveryError('DELIVERY_BUSY', 'retry', `busy ${left}`))
      : Promise.resolve(undefined)
  await toy.push(tracesRequest([{ spans: ['a'] }])).outcome
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['a'])
  const [record] = toy.journal.find({ what: 'attempt_failed' })
  expect(record.events.map(event => [event.what, event.detail])).toEqual(
    expect.arrayContaining([
      ['attempt_failed', 'busy 2'],
      ['attempt_failed', 'busy 1'],
      ['attempt_failed', 'busy 0'],
      ['delivered', undefined],
    ]),
  )
})

test('of a batch of several requests that a destination took in part, each record says how many at most were its own', async () => {
  const queue = { wait_for_result: true, batch: { min_size: 40, flush_timeout: '5s' } }
  toy = await toyGraph({ exporters: { sink: { sending_queue: queue } } })
  toy.sinks['sink'].behave = () => Promise.resolve({ rejected: 1, message: 'one is wrong' })
  const requests = [names('a', 10), names('b', 30)]
  await Promise.all(requests.map(spans => toy.push(tracesRequest([{ spans }])).outcome))
  const records = toy.journal.find({ what: 'rejected' })
  const told = records.map(({ items, events }) => [items, events.filter(({ what }) => what === 'rejected')] as const)
  const detail = '1 of 40 items, of 2 requests that were sent as one: whose is not said; one is wrong'
  expect(told).toMatchObject([30, 10].map(items => [items, [{ items: 1, detail }]]))
})

test('of a request that a destination took in part, it is told how many it took', async () => {
  toy = await toyGraph({ exporters: { sink: { sending_queue: { enabled: false } } } })
  toy.sinks['sink'].behave = () => Promise.resolve({ rejected: 3, message: 'three are wrong' })
  await toy.push(tracesRequest([{ spans: names('a', 10) }])).outcome
  const [record] = toy.journal.find({ what: 'rejected' })
  expect(record?.events.map(({ what, items, detail }) => [what, items, detail])).toEqual(
    expect.arrayContaining([
      ['delivered', 7, undefined],
      ['rejected', 3, 'three are wrong'],
    ]),
  )
})

test('a sender that gave up before there was anything to tell is not told to wait', async () => {
  const failing = { sending_queue: { wait_for_result: true }, retry_on_failure: { enabled: false } }
  toy = await toyGraph({ exporters: { sink: failing } })
  let fail = (): void => {}
  // The first of a second has a record from the beginning.
  vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000_000_000 })
  onTestFinished(() => void vi.useRealTimers())
  await toy.push(tracesRequest([{ spans: ['first'] }])).outcome
  toy.sinks['sink'].behave = () => new Promise((_, reject) => (fail = () => reject(later)))
  const later = new DeliveryError('DELIVERY_BUSY', 'retry', 'busy')
  const { delivery, outcome } = toy.push(tracesRequest([{ spans: ['a'] }]))
  delivery.withdraw(later)
  await outcome
  fail()
  await expect.poll(() => toy.journal.find({ what: 'attempt_failed' })).toMatchObject([{ outcome: 'refused' }])
})

test('what Kymo tells about itself is not sampled, but noted when something happens to it', async () => {
  toy = await toyGraph({
    exporters: { sink: {} },
    components: { namespace_filter: { definition: namespaceFilter } },
    pipelines: [{ processors: ['namespace_filter'], exporters: ['sink'] }],
    transport: ownTransport,
  })
  for (let i = 0; i < 50; i++) await toy.push(tracesRequest([{ namespace: 'shop', spans: ['a'] }])).outcome
  expect(toy.journal.begun).toBe(0)
  await toy.push(tracesRequest([{ namespace: 'kube-system', spans: ['a'] }])).outcome
  expect(toy.journal.find({ what: 'dropped' })).toHaveLength(1)
})

test('what is frequent does not push out what is rare, and events of one record are bounded', async () => {
  toy = await toyGraph({
    exporters: { sink: {} },
    components: { namespace_filter: { definition: namespaceFilter, config: { exclude: ['rare'] } } },
    pipelines: [{ processors: ['namespace_filter'], exporters: ['sink'] }],
  })
  await toy.push(tracesRequest([{ namespace: 'rare', spans: ['x'] }])).outcome
  for (let i = 0; i < 1000; i++) await toy.push(tracesRequest([{ namespace: 'kube-system', spans: ['y'] }])).outcome
  expect(toy.journal.find({ reason: 'namespace_excluded' })).toHaveLength(1)
  expect(toy.journal.find({ reason: 'namespace_system', limit: 10_000 }).length).toBeLessThanOrEqual(256)
})

test('of what a filter drops of every request a few a second are written about, and the rest is counted', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000_000_000 })
  try {
    toy = await toyGraph({
      exporters: { sink: {} },
      components: { namespace_filter: { definition: namespaceFilter } },
      pipelines: [{ processors: ['namespace_filter'], exporters: ['sink'] }],
    })
    const push = () => toy.push(tracesRequest([{ namespace: 'kube-system', spans: ['y'] }])).outcome
    for (let i = 0; i < 100; i++) await push()
    expect(toy.journal.find({ what: 'dropped' })).toHaveLength(20)
    expect(toy.journal.unwritten).toBe(80)
    // The books have all of them.
    expect(toy.books.nodes.flatMap(node => [...node.dropped.all()])).toContainEqual({
      reason: 'namespace_system',
      value: 100,
    })
    vi.setSystemTime(1_000_000_001_000)
    await push()
    expect(toy.journal.find({ what: 'dropped' })).toHaveLength(21)
  } finally {
    vi.useRealTimers()
  }
})

test('what is lost is written about however often it happens', async () => {
  toy = await toyGraph({ exporters: { sink: {} } })
  toy.sinks['sink'].behave = () => Promise.reject(new DeliveryError('DELIVERY_REJECTED', 'rejected', 'no'))
  for (let i = 0; i < 100; i++) await toy.push(tracesRequest([{ spans: ['a'] }])).outcome
  await expect.poll(() => toy.journal.find({ what: 'rejected', limit: 1000 })).toHaveLength(100)
  expect(toy.journal.unwritten).toBe(0)
})
