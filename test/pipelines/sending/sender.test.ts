import { afterEach, describe, expect, test } from 'vitest'
import type { Batch } from '../../../core/batch.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { encodeGroups } from '../../../proto/group.ts'
import { type Behaviour, toyGraph, type ToyGraph } from '../../support/graph.ts'
import { names, spanNames, tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(50)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const fast = { initial_interval: '2ms', max_interval: '8ms' }
const namesOf = (batch: Batch) => spanNames(encodeGroups(batch.groups))
const exporterBooks = () => toy.books.nodes.find(node => node.name.kind === 'exporter')!
/** Rejects every batch in which a name starts with `bad`. */
const decodesAll: Behaviour = batch =>
  namesOf(batch).some(name => name.startsWith('bad'))
    ? Promise.reject(new DeliveryError('DELIVERY_REJECTED', 'rejected', 'cannot decode'))
    : Promise.resolve(undefined)

describe('a destination that rejects', () => {
  test('one bad sender merged with three healthy ones loses only its own data', async () => {
    const queue = { batch: { min_size: 40, flush_timeout: '5s' } }
    toy = await toyGraph({ exporters: { sink: { sending_queue: queue } } })
    toy.sinks['sink'].behave = decodesAll
    const senders = ['a', 'b', 'bad', 'c'].map(name => toy.push(tracesRequest([{ spans: names(name, 10) }])))
    for (const sender of senders) expect((await sender.outcome).kind).toBe('success')
    await expect.poll(() => exporterBooks().rejected.total).toBe(10)
    expect(toy.sinks['sink'].all.toSorted()).toEqual(
      [...names('a', 10), ...names('b', 10), ...names('c', 10)].toSorted(),
    )
  })

  test('within one request, groups and items beside the bad one arrive', async () => {
    toy = await toyGraph({ exporters: { sink: { sending_queue: { wait_for_result: true } } } })
    toy.sinks['sink'].behave = decodesAll
    const body = tracesRequest([
      { namespace: 'x', spans: names('x', 5) },
      { namespace: 'y', spans: [...names('y', 7), 'bad', ...names('z', 8)] },
    ])
    expect(await toy.push(body).outcome).toMatchObject({ kind: 'partial', rejected: 1, reason: 'cannot decode' })
    expect(toy.sinks['sink'].all.toSorted()).toEqual([...names('x', 5), ...names('y', 7), ...names('z', 8)].toSorted())
  })

  test('a destination that rejects everything is not asked about every item of every batch', async () => {
    toy = await toyGraph({ exporters: { sink: { sending_queue: { wait_for_result: true } } } })
    toy.sinks['sink'].behave = () => Promise.reject(new DeliveryError('DELIVERY_REJECTED', 'rejected', 'no'))
    const costs = []
    for (let i = 0; i < 7; i++) {
      const before = toy.sinks['sink'].attempts.length
      expect(await toy.push(tracesRequest([{ spans: names('s', 500) }])).outcome).toMatchObject({ kind: 'rejected' })
      costs.push(toy.sinks['sink'].attempts.length - before)
    }
    expect(costs[0]).toBeLessThanOrEqual(67)
    expect(costs.at(-1)).toBeLessThanOrEqual(3)
  })

  test('what is too large is cut until it fits, and a single item that never fits is rejected', async () => {
    toy = await toyGraph({ exporters: { sink: { sending_queue: { wait_for_result: true } } } })
    toy.sinks['sink'].behave = batch =>
      batch.byteLength > 120
        ? Promise.reject(new DeliveryError('DELIVERY_TOO_LARGE', 'too_large', 'too large'))
        : Promise.resolve(undefined)
    const body = tracesRequest([{ spans: [...names('s', 30), 'x'.repeat(200)] }])
    expect(await toy.push(body).outcome).toMatchObject({ kind: 'partial', rejected: 1 })
    expect(toy.sinks['sink'].all.toSorted()).toEqual(names('s', 30).toSorted())
    expect(exporterBooks().rejected.of('too_large').value).toBe(1)
  })
})

describe('a destination that fails for a while', () => {
  test('is tried again until it takes the batch', async () => {
    toy = await toyGraph({ exporters: { sink: { retry_on_failure: fast } } })
    let failures = 3
    toy.sinks['sink'].behave = () => (failures-- > 0 ? Promise.reject(new Error('reset')) : Promise.resolve(undefined))
    await toy.push(tracesRequest([{ spans: ['a'] }])).outcome
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['a'])
    expect([exporterBooks().attempts, exporterBooks().failedAttempts]).toEqual([4, 3])
  })

  test('when it takes nothing, one probe runs while the queue stands; then everything goes out in order', async () => {
    toy = await toyGraph({
      exporters: {
        sink: { retry_on_failure: { ...fast, initial_interval: '4ms' }, sending_queue: { num_consumers: 3 } },
      },
    })
    let up = false
    let now = 0
    let most = 0
    toy.sinks['sink'].behave = async () => {
      most = Math.max(most, ++now)
      await new Promise(resolve => setTimeout(resolve, 1))
      now--
      if (!up) throw new DeliveryError('DELIVERY_UNREACHABLE', 'retry', 'refused')
      return undefined
    }
    const all = names('n', 12)
    for (const name of all) await toy.push(tracesRequest([{ spans: [name] }])).outcome
    await expect.poll(() => exporterBooks().failedAttempts).toBeGreaterThan(7)
    most = 0
    await new Promise(resolve => setTimeout(resolve, 30))
    expect(most).toBeLessThanOrEqual(1)
    expect(toy.graph.components.find(one => one.kind === 'exporter')?.status.state).toBe('RecoverableError')
    up = true
    await expect.poll(() => toy.sinks['sink'].all.length).toBe(12)
    expect(toy.sinks['sink'].all).toEqual(all)
    expect(toy.graph.components.find(one => one.kind === 'exporter')?.status.state).toBe('OK')
  })

  test('an explicit max_elapsed_time is obeyed and booked as expired', async () => {
    const retry = { ...fast, max_elapsed_time: '20ms' }
    toy = await toyGraph({ exporters: { sink: { retry_on_failure: retry } } })
    toy.sinks['sink'].behave = () => Promise.reject(new Error('down'))
    await toy.push(tracesRequest([{ spans: ['a'] }])).outcome
    await expect.poll(() => exporterBooks().lost.of('expired').value).toBe(1)
  })

  test.each([
    ['until `max_elapsed_time`, when that is why it is lost', { ...fast, max_elapsed_time: '20ms' }],
    ['or not at all without retries', { enabled: false }],
  ])('what was accepted and is denied is kept %s', async (_, retry_on_failure) => {
    toy = await toyGraph({ exporters: { sink: { retry_on_failure } } })
    toy.sinks['sink'].behave = () =>
      Promise.reject(new DeliveryError('DELIVERY_DENIED', 'denied', 'HTTP 401: no such key'))
    await toy.push(tracesRequest([{ spans: ['a'] }])).outcome
    await expect.poll(() => exporterBooks().lost.of('denied').value).toBe(1)
    expect(exporterBooks().lost.total).toBe(1)
    expect(toy.graph.components.find(one => one.kind === 'exporter')?.status.lastError).toContain('no such key')
  })

  test('an attempt that hangs ends at the timeout, is aborted, and may have arrived', async () => {
    toy = await toyGraph({ exporters: { sink: { timeout: '10ms', retry_on_failure: fast } } })
    let aborted = 0
    toy.sinks['sink'].behave = (_batch, abort) =>
      new Promise((resolve, fail) => {
        if (aborted > 0) resolve(undefined)
        abort.addEventListener('abort', () => {
          aborted++
          fail(new Error('aborted'))
        })
      })
    await toy.push(tracesRequest([{ spans: ['a'] }])).outcome
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['a'])
    expect(aborted).toBe(1)
    expect(exporterBooks().maybeTwice).toBe(1)
  })

  test('a batch on which it fails again and again while it takes others is cut down to the item, given up, and blocks nobody', async () => {
    toy = await toyGraph({ exporters: { sink: { retry_on_failure: { ...fast, max_interval: '3ms' } } } })
    toy.sinks['sink'].behave = batch =>
      namesOf(batch).includes('poison') ? Promise.reject(new Error('crashed')) : Promise.resolve(undefined)
    await toy.push(tracesRequest([{ spans: ['a', 'poison', 'b'] }])).outcome
    for (let i = 0; exporterBooks().lost.total === 0 && i < 400; i++) {
      await toy.push(tracesRequest([{ spans: [`other${i}`] }])).outcome
      await new Promise(resolve => setTimeout(resolve, 2))
    }
    expect(exporterBooks().lost.of('suspect').value).toBe(1)
    expect(toy.sinks['sink'].all).toEqual(expect.arrayContaining(['a', 'b']))
  })

  test('at stop, what cannot be delivered is booked as lost with its count', async () => {
    toy = await toyGraph({ exporters: { sink: { retry_on_failure: fast } } })
    toy.sinks['sink'].behave = () => Promise.reject(new Error('down'))
    await toy.push(tracesRequest([{ spans: ['a', 'b'] }])).outcome
    expect(await toy.graph.stop(30)).toEqual({ lost: 2 })
    expect(exporterBooks().lost.of('shutdown').value).toBe(2)
  })
})

describe('sending_queue.batch', () => {
  test('max_size cuts what is larger', async () => {
    const queue = { batch: { min_size: 10, max_size: 10, flush_timeout: '5s' } }
    toy = await toyGraph({ exporters: { sink: { sending_queue: queue } } })
    await toy.push(tracesRequest([{ spans: names('s', 35) }])).outcome
    await expect.poll(() => toy.sinks['sink'].taken.map(one => one.length)).toEqual([10, 10, 10, 5])
  })

  test('metadata_keys keeps what differs apart', async () => {
    const queue = { batch: { min_size: 2, flush_timeout: '20ms', partition: { metadata_keys: ['X-Tenant'] } } }
    toy = await toyGraph({ exporters: { sink: { sending_queue: queue } } })
    for (const tenant of ['a', 'b', 'a', 'b']) {
      void toy.push(tracesRequest([{ spans: [tenant] }]), { metadata: { 'x-tenant': tenant } })
    }
    await expect
      .poll(() => toy.sinks['sink'].taken)
      .toEqual([
        ['a', 'a'],
        ['b', 'b'],
      ])
  })
})
