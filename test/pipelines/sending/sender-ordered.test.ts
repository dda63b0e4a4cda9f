import { afterEach, expect, test } from 'vitest'
import { DeliveryError } from '../../../core/errors.ts'
import { toyGraph, type ToyGraph } from '../../support/graph.ts'
import { names, tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(50)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const fast = { initial_interval: '2ms', max_interval: '8ms' }
const busy = () => Promise.reject(new DeliveryError('DELIVERY_BUSY', 'retry', '503'))
const exporterBooks = () => toy.books.nodes.find(node => node.name.kind === 'exporter')!

test('what leaves in order has one batch on its way, and nothing passes one that is tried again', async () => {
  toy = await toyGraph({ exporters: { sink: { retry_on_failure: fast } }, ordering: 'series' })
  let now = 0
  let most = 0
  let turn = 0
  toy.sinks['sink'].behave = async () => {
    most = Math.max(most, ++now)
    await new Promise(resolve => setTimeout(resolve, 1))
    now--
    if (turn++ % 3 === 0) throw new DeliveryError('DELIVERY_BUSY', 'retry', '503')
    return undefined
  }
  const all = names('n', 20)
  for (const name of all) await toy.push(tracesRequest([{ spans: [name] }])).outcome
  await expect.poll(() => toy.sinks['sink'].all.length).toBe(20)
  expect(toy.sinks['sink'].all).toEqual(all)
  expect(most).toBe(1)
})

test('a batch that is answered with failure for good stops those behind it only for a while', async () => {
  toy = await toyGraph({ exporters: { sink: { retry_on_failure: fast } }, ordering: 'series' })
  toy.sinks['sink'].behave = () =>
    toy.sinks['sink'].attempts.at(-1)?.includes('bad') ? busy() : Promise.resolve(undefined)
  for (const name of ['bad', 'a', 'b']) await toy.push(tracesRequest([{ spans: [name] }])).outcome
  await expect.poll(() => toy.sinks['sink'].all, { timeout: 5000 }).toEqual(['a', 'b'])
  await expect.poll(() => exporterBooks().lost.of('suspect').value, { timeout: 5000 }).toBe(1)
})

test('a batch that one send cannot carry is halved before it is sent, and a single item is sent whatever it is', async () => {
  toy = await toyGraph({ exporters: { sink: {} } })
  const sink = toy.sinks['sink']
  Object.assign(sink, {
    fits: (batch: { items: number; byteLength: number }) => batch.items <= 3 && batch.byteLength < 150,
  })
  await toy.push(tracesRequest([{ spans: [...names('s', 10), 'x'.repeat(200)] }])).outcome
  await expect.poll(() => sink.all.length).toBe(11)
  expect(Math.max(...sink.attempts.map(one => one.length))).toBeLessThanOrEqual(3)
  expect([exporterBooks().failedAttempts, exporterBooks().delivered]).toEqual([0, 11])
})

test('what an exporter leaves out of a batch is booked under the reasons it gives', async () => {
  toy = await toyGraph({ exporters: { sink: { sending_queue: { wait_for_result: true } } } })
  const reasons = { line_too_long: 2, no_labels: 1 }
  toy.sinks['sink'].behave = () => Promise.resolve({ rejected: 4, message: 'cannot be written', reasons })
  const { outcome } = toy.push(tracesRequest([{ spans: names('s', 5) }]))
  expect(await outcome).toMatchObject({ kind: 'partial', rejected: 4, reason: 'cannot be written' })
  const { rejected, delivered } = exporterBooks()
  const counts = ['line_too_long', 'no_labels', 'partial_success'].map(reason => rejected.of(reason).value)
  expect([...counts, rejected.total, delivered]).toEqual([2, 1, 1, 4, 1])
})

const sinkWith = (timeout: string) => ({ sink: { timeout, retry_on_failure: fast } })
const push = async (name: string) => (await toy.push(tracesRequest([{ spans: [name] }])).outcome).kind

test.each([
  ['and is taken', undefined, ['a'], ['b', 'c']],
  ['and has to be sent again', new DeliveryError('DELIVERY_BUSY', 'retry', '503'), [], ['a', 'b', 'c']],
])(
  'over a reload, what leaves in order waits for what the one before still sends %s',
  async (_, failure, first, then) => {
    toy = await toyGraph({ exporters: sinkWith('5s'), ordering: 'series' })
    const before = toy.sinks['sink']
    let end = (): void => {}
    before.behave = (_batch, _abort, attempt) => {
      attempt.memo = 'made for this one'
      return new Promise(
        (resolve, reject) => (end = () => (failure === undefined ? resolve(undefined) : reject(failure))),
      )
    }
    for (const name of ['a', 'b']) await push(name)
    await expect.poll(() => before.attempts).toEqual([['a']])
    const { over } = await toy.reload({ exporters: sinkWith('6s') })
    await push('c')
    const after = toy.sinks['sink']
    const memos: unknown[] = []
    after.behave = (_batch, _abort, attempt) => {
      memos.push(attempt.memo)
      return Promise.resolve(undefined)
    }
    // Some turns in which it could send.
    for (let i = 0; i < 5; i++) await new Promise(resolve => setImmediate(resolve))
    expect(after.attempts).toEqual([])
    end()
    await over
    await expect.poll(() => after.all).toEqual(then)
    expect(before.all).toEqual(first)
    expect(memos.every(memo => memo === undefined)).toBe(true)
  },
)

test('what is in flight when a replaced one has to stop goes to its successor, and may arrive twice', async () => {
  toy = await toyGraph({ exporters: sinkWith('5s'), ordering: 'series' })
  toy.sinks['sink'].behave = () => new Promise(() => {})
  for (const name of ['a', 'b']) await push(name)
  await expect.poll(() => toy.sinks['sink'].attempts).toEqual([['a']])
  const { over } = await toy.reload({ exporters: sinkWith('6s') }, 10)
  await over
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['a', 'b'])
  expect([exporterBooks().lost.total, exporterBooks().maybeTwice]).toEqual([0, 1])
})
