import { afterEach, describe, expect, test } from 'vitest'
import { DeliveryError } from '../../core/errors.ts'
import { batch } from '../../processors/batch.ts'
import { type Behaviour, toyGraph, type ToyGraph } from '../support/graph.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(100)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const take: Behaviour = () => Promise.resolve(undefined)
const reject: Behaviour = () => Promise.reject(new DeliveryError('DELIVERY_REJECTED', 'rejected', 'bad data'))
const deny: Behaviour = () => Promise.reject(new DeliveryError('DELIVERY_DENIED', 'denied', 'who are you'))
const later =
  (retryAfter?: number): Behaviour =>
  () =>
    Promise.reject(new DeliveryError('DELIVERY_BUSY', 'retry', 'come again', { retryAfter }))
const partly: Behaviour = () => Promise.resolve({ rejected: 3, message: 'three too many' })
const warned: Behaviour = () => Promise.resolve({ rejected: 0, message: 'mind the gap' })

const direct = { sending_queue: { enabled: false }, retry_on_failure: { enabled: false } }
const ten = tracesRequest([{ namespace: 'a', spans: names('s', 10) }])

describe('what the sender hears when it waits for the destinations', () => {
  const rows: [name: string, first: Behaviour, second: Behaviour, heard: object][] = [
    ['all accepted: success', take, take, { kind: 'success', warning: undefined }],
    [
      'a destination took it with a warning: success with the warning',
      take,
      warned,
      { kind: 'success', warning: 'mind the gap' },
    ],
    [
      'some rejected, the rest accepted: partial success',
      take,
      partly,
      { kind: 'partial', rejected: 3, reason: 'three too many' },
    ],
    [
      'one destination rejects all: partial success, because the other took it',
      take,
      reject,
      { kind: 'partial', rejected: 10, reason: 'bad data' },
    ],
    ['all reject all: rejected', reject, reject, { kind: 'rejected', reason: 'bad data' }],
    ['one denies: that is not the data, which may be sent twice', take, deny, { kind: 'refused', mayBeSentTwice: 10 }],
    ['all deny: refused', deny, deny, { kind: 'refused', mayBeSentTwice: 0 }],
    [
      'one refuses: the whole is refused, what was taken may be sent twice',
      take,
      later(700),
      { kind: 'refused', retryAfter: 700, mayBeSentTwice: 10 },
    ],
    [
      'both refuse: the longest delay counts',
      later(300),
      later(900),
      { kind: 'refused', retryAfter: 900, mayBeSentTwice: 0 },
    ],
    ['one rejects, one refuses: refused wins', reject, later(50), { kind: 'refused', retryAfter: 50 }],
  ]
  test.each(rows)('%s', async (_name, first, second, heard) => {
    toy = await toyGraph({ exporters: { 'sink/1': direct, 'sink/2': direct } })
    toy.sinks['sink/1'].behave = first
    toy.sinks['sink/2'].behave = second
    expect(await toy.push(ten).outcome).toMatchObject(heard)
  })

  test('a batch of many senders of which the destination rejects some: success with a warning for all', async () => {
    const queue = { wait_for_result: true, batch: { min_size: 20, flush_timeout: '5s' } }
    toy = await toyGraph({ exporters: { sink: { sending_queue: queue } } })
    toy.sinks['sink'].behave = partly
    const outcomes = await Promise.all([toy.push(ten).outcome, toy.push(ten).outcome])
    expect(outcomes).toEqual([
      { kind: 'success', warning: 'three too many' },
      { kind: 'success', warning: 'three too many' },
    ])
    const [books] = toy.books.nodes.filter(node => node.name.kind === 'exporter')
    expect([books.delivered, books.rejected.of('partial_success').value]).toEqual([17, 3])
  })

  test.each([
    ['memory', {}],
    ['their answers', { sending_queue: { wait_for_result: true } }],
  ])('a request in pieces, gathered for several destinations, is answered once all of it is: %s', async (_, sink) => {
    toy = await toyGraph({
      exporters: { 'sink/1': sink, 'sink/2': sink },
      components: { batch: { definition: batch, config: { send_batch_size: 20, timeout: '20ms' } } },
      pipelines: [{ processors: ['batch'], exporters: ['sink/1', 'sink/2'] }],
    })
    // The first two leave together while the third is still to come: of what is answered by then nobody hears twice.
    const pushed = toy.pushInPieces([ten, ten, ten])
    expect(await pushed.outcome).toEqual({ kind: 'success', warning: undefined })
    expect(await pushed.ended).toMatchObject({ again: false, rejected: 0, lost: 0 })
    for (const name of ['sink/1', 'sink/2']) await expect.poll(() => toy.sinks[name]?.all.length).toBe(30)
    expect(pushed.delivery.open).toBe(0)
  })

  test('a request without items ends at once and nothing is sent', async () => {
    toy = await toyGraph({ exporters: { sink: direct } })
    const { delivery } = toy.push(Buffer.alloc(0))
    expect(delivery.open).toBe(0)
  })
})

describe('when it counts as accepted', () => {
  test('a memory queue answers on enqueue, while the destination still works', async () => {
    toy = await toyGraph({ exporters: { sink: {} } })
    let release: () => void = () => {}
    toy.sinks['sink'].behave = () => new Promise(resolve => (release = () => resolve(undefined)))
    expect(await toy.push(ten).outcome).toMatchObject({ kind: 'success' })
    expect(toy.sinks['sink'].taken).toEqual([])
    expect(toy.budget.used).toBeGreaterThan(0)
    release()
    await expect.poll(() => toy.sinks['sink'].all.length).toBe(10)
  })

  test('with wait_for_result the answer is the destination’s', async () => {
    toy = await toyGraph({ exporters: { sink: { sending_queue: { wait_for_result: true } } } })
    toy.sinks['sink'].behave = reject
    expect(await toy.push(ten).outcome).toMatchObject({ kind: 'rejected' })
    toy.sinks['sink'].behave = deny
    expect(await toy.push(ten).outcome).toMatchObject({ kind: 'refused', error: { code: 'DELIVERY_DENIED' } })
  })

  test('a sender that gives up while waiting is refused once, and what was not sent is withdrawn', async () => {
    toy = await toyGraph({ exporters: { sink: { sending_queue: { wait_for_result: true, num_consumers: 1 } } } })
    let release: () => void = () => {}
    toy.sinks['sink'].behave = () => new Promise(resolve => (release = () => resolve(undefined)))
    const first = toy.push(tracesRequest([{ spans: ['first'] }]))
    const second = toy.push(tracesRequest([{ spans: ['second'] }]))
    second.delivery.withdraw(new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'deadline'))
    expect(await second.outcome).toMatchObject({ kind: 'refused' })
    release()
    expect(await first.outcome).toMatchObject({ kind: 'success' })
    expect(toy.sinks['sink'].all).toEqual(['first'])
  })
})

test('an unattended batch that finds no room is parked and closes its pipeline, and goes out when there is room', async () => {
  toy = await toyGraph({ exporters: { sink: { sending_queue: { queue_size: 1, num_consumers: 1 } } } })
  let release: () => void = () => {}
  toy.sinks['sink'].behave = () => new Promise(resolve => (release = () => resolve(undefined)))
  expect(await toy.push(tracesRequest([{ spans: ['first'] }])).outcome).toMatchObject({ kind: 'success' })
  toy.pushUnattended(tracesRequest([{ spans: ['parked'] }]))
  expect(await toy.push(tracesRequest([{ spans: ['refused'] }])).outcome).toMatchObject({ kind: 'refused' })
  release()
  await expect.poll(() => toy.sinks['sink'].attempts.flat()).toEqual(['first', 'parked'])
  release()
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['first', 'parked'])
})

test('rejecting sink books what it rejects with its reason', async () => {
  toy = await toyGraph({ exporters: { sink: {} } })
  toy.sinks['sink'].behave = reject
  expect(await toy.push(tracesRequest([{ spans: ['one'] }])).outcome).toMatchObject({ kind: 'success' })
  const [books] = toy.books.nodes.filter(node => node.name.kind === 'exporter')
  await expect.poll(() => books.rejected.of('rejected').value).toBe(1)
})
