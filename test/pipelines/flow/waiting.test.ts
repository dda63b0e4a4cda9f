import * as fc from 'fast-check'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Batch } from '../../../core/batch.ts'
import { Books } from '../../../core/books.ts'
import { Budget } from '../../../core/budget.ts'
import { Delivery } from '../../../core/delivery.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { Lease } from '../../../core/lease.ts'
import { Waiting } from '../../../pipelines/flow/waiting.ts'
import { readRequest } from '../../../proto/request.ts'
import { toyGraph, type ToySink } from '../../support/graph.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'

const body = tracesRequest([{ spans: ['a'] }])
const context = { receiver: 'test', transport: 'test', peer: undefined, metadata: undefined, auth: undefined }
const accounts = new Books()
const from = accounts.node({ kind: 'receiver', id: 'toy', pipeline: '', signal: 'traces' })
const stranger = accounts.node({ kind: 'receiver', id: 'other', pipeline: '', signal: 'traces' })
const gaveUp = new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'gave up')

/** A batch, and how its sender gives up. */
function waiter(): { batch: Batch; withdraw: () => void } {
  const request = readRequest('traces', body)
  const delivery = new Delivery(request.items, { answered() {} })
  const lease = new Lease(new Budget(Infinity), 0, request.items)
  return {
    batch: Batch.of('traces', request, context, delivery, lease),
    withdraw: () => delivery.withdraw(gaveUp),
  }
}

test('those who gave up come out, none else, and none twice; the others in the order they came', () => {
  const act = fc.record({ how: fc.constantFrom('push', 'push', 'push', 'shift', 'take', 'withdraw'), n: fc.nat(60) })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), acts => {
      const waiting = new Waiting()
      const all: { batch: Batch; withdraw: () => void }[] = []
      const out: Batch[] = []
      for (const { how, n } of acts) {
        if (how === 'push')
          for (let i = 0; i < n; i++) {
            const one = waiter()
            all.push(one)
            waiting.push(one.batch, from)
          }
        else if (how === 'shift') out.push(...[waiting.shift()?.batch].filter(one => one !== undefined))
        else if (how === 'withdraw') all[n % Math.max(1, all.length)]?.withdraw()
        else {
          const gone = waiting.takeWithdrawn().map(({ batch }) => batch)
          expect(gone.every(one => one.withdrawn)).toBe(true)
          expect(waiting.peek()?.withdrawn ?? false).toBe(false)
          out.push(...gone)
        }
        expect(waiting.items()).toBe(waiting.length)
        expect(waiting.items(from)).toBe(waiting.length)
        expect(waiting.items(stranger)).toBe(0)
      }
      const rest = waiting.takeAll().map(({ batch }) => batch)
      expect(rest).toEqual(all.map(({ batch }) => batch).filter(batch => rest.includes(batch)))
      expect(new Set([...out, ...rest]).size).toBe(out.length + rest.length)
      expect(out.length + rest.length).toBe(all.length)
    }),
  )
})

test('however many wait, most who gave up in their middle are not kept', () => {
  const waiting = new Waiting()
  waiting.push(waiter().batch, from)
  let most = 0
  for (let i = 0; i < 5000; i++) {
    const { batch, withdraw } = waiter()
    waiting.push(batch, from)
    withdraw()
    waiting.takeWithdrawn()
    most = Math.max(most, waiting.length)
  }
  expect(most).toBeLessThan(64)
})

/** Counts looks at whether somebody gave up. */
function looks(): () => number {
  const spy = vi.spyOn(Batch.prototype, 'withdrawn', 'get')
  onTestFinished(() => spy.mockRestore())
  return () => spy.mock.calls.length
}

/** An exporter with a queue of so many that lets nothing go until it is told to. */
async function stuck(queue: object) {
  const toy = await toyGraph({
    exporters: { sink: { sending_queue: { num_consumers: 1, ...queue } } },
  })
  onTestFinished(async () => {
    await toy.graph.stop(1000)
    expect(toy.books.faults()).toEqual([])
    expect(toy.budget.used).toBe(0)
  })
  const sink: ToySink | undefined = toy.sinks['sink']
  let free = (): void => {}
  const open = new Promise<void>(resolve => (free = resolve))
  if (sink !== undefined) sink.behave = () => open.then(() => undefined)
  return { toy, free }
}

test.each([
  ['that wait for room in a queue', { queue_size: 1, block_on_overflow: true }],
  ['that are refused at a full queue of those who wait for an answer', { queue_size: 500, wait_for_result: true }],
])('of many senders %s each costs the same', async (_, queue) => {
  const { toy, free } = await stuck(queue)
  const count = looks()
  const senders = 3000
  const outcomes = Array.from({ length: senders }, () => toy.push(body).outcome)
  expect(count()).toBeLessThan(senders * 10)
  free()
  const kinds = await Promise.all(outcomes)
  expect(kinds.every(({ kind }) => kind === 'success' || kind === 'refused')).toBe(true)
  expect(count()).toBeLessThan(senders * 20)
})
