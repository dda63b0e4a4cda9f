/** When a batch is sent again, and when others are: what the destination asked for, and what is only our own back-off. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import * as z from 'zod'
import { Books } from '../../../core/books.ts'
import { Budget } from '../../../core/budget.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { Journal } from '../../../core/journal.ts'
import { silent } from '../../../core/logger.ts'
import { sending } from '../../../core/sending.ts'
import { Status } from '../../../core/status.ts'
import { encodeGroups } from '../../../proto/group.ts'
import { Claim } from '../../../pipelines/sending/claim.ts'
import { makeEntry } from '../../../pipelines/sending/entry.ts'
import { Sender } from '../../../pipelines/sending/sender.ts'
import { batchOf } from '../../support/exporting.ts'
import { spanNames, tracesRequest } from '../../support/otlp-bytes.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }))
afterEach(async () => {
  vi.useRealTimers()
  await sender.stop(0)
})

const retry = { initial_interval: '1s', multiplier: 1, randomization_factor: 0 }
const { retry_on_failure, ...rest } = z.strictObject(sending()).parse({ timeout: '0s', retry_on_failure: retry })
const budget = new Budget(1 << 30)
let sender: Sender
let seq = 0
let sends: [name: string, at: number][]
let status: Status

/** A sender to a destination whose answers stand in the list, by name; what is not there, or no more, is taken. */
function begin(answers: Record<string, DeliveryError[]>): void {
  sends = []
  status = new Status()
  status.set('Starting')
  const from = performance.now()
  sender = new Sender({
    exporter: {
      send(batch) {
        const [name] = spanNames(encodeGroups(batch.groups))
        sends.push([name, performance.now() - from])
        const error = answers[name]?.shift()
        return error === undefined ? Promise.resolve(undefined) : Promise.reject(error)
      },
    },
    config: { ...rest, retry_on_failure },
    books: new Books().node({ kind: 'exporter', id: 'asks', pipeline: '', signal: 'traces' }),
    journal: new Journal(),
    log: silent,
    status,
    budget: () => budget,
    consumers: 10,
    ordered: false,
  })
}

function push(name: string): void {
  const body = tracesRequest([{ spans: [name] }])
  sender.send(makeEntry(batchOf(body).taken(), ++seq, new Claim(() => {}), retry_on_failure))
}

const unavailable = (retryAfter?: number) => new DeliveryError('DELIVERY_BUSY', 'retry', '503', { retryAfter })
const throttled = (retryAfter: number) =>
  new DeliveryError('DELIVERY_BUSY', 'retry', '429', { retryAfter, isThrottled: true })
const away = () => new DeliveryError('DELIVERY_UNREACHABLE', 'retry', 'refused')
const times = (name: string) => sends.filter(([sent]) => sent === name).map(([, at]) => at)

test.each<[string, DeliveryError, number[], number[]]>([
  ['our own back-off is cut short when another is taken', unavailable(), [0, 400], [400]],
  ['what 503 asked for is waited out by the batch it was said of', unavailable(4000), [0, 4000], [400]],
  ['what 429 asked for is waited out by all', throttled(4000), [0, 4000], [4000]],
])('%s', async (_, error, first, second) => {
  begin({ first: [error] })
  push('first')
  await vi.advanceTimersByTimeAsync(400)
  push('second')
  await vi.advanceTimersByTimeAsync(10_000)
  expect([times('first'), times('second')]).toEqual([first, second])
})

test('status says how long a destination asked to be left alone, until it takes data again', async () => {
  begin({ a: [unavailable(90_500)] })
  push('a')
  await vi.advanceTimersByTimeAsync(10)
  expect([status.state, status.lastError]).toEqual(['RecoverableError', '503; it asked not to be tried again for 91 s'])
  await vi.advanceTimersByTimeAsync(91_000)
  expect(status.state).toBe('OK')
})

test('several batches that are all asked to wait do so, also when that makes five failures in a row', async () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  begin(Object.fromEntries(names.map((name, i) => [name, [unavailable(3000 + 1000 * i)]])))
  for (const name of names) push(name)
  await vi.advanceTimersByTimeAsync(20_000)
  names.forEach((name, i) => {
    expect(times(name).length).toBe(2)
    expect(times(name)[1]).toBeGreaterThanOrEqual(3000 + 1000 * i)
  })
})

test('an outage of a minute ends within five seconds of its end, whatever the waits have grown to', async () => {
  begin({ a: Array.from({ length: 1000 }, away) })
  push('a')
  await vi.advanceTimersByTimeAsync(60_000)
  const before = times('a').length
  await vi.advanceTimersByTimeAsync(5000)
  expect(times('a').length).toBeGreaterThan(before)
})

test.each([1, 6])('a connection that is there again is used at once: %i batches', async count => {
  const names = Array.from({ length: count }, (_, i) => `n${i}`)
  const answers = Object.fromEntries(names.map(name => [name, Array.from({ length: 3 }, away)]))
  begin(answers)
  for (const name of names) push(name)
  await vi.advanceTimersByTimeAsync(500)
  for (const name of names) answers[name].length = 0
  sender.reached()
  await vi.advanceTimersByTimeAsync(1)
  for (const name of names) expect(times(name).at(-1)).toBe(500)
})

test('a new connection does not hurry what the destination answered', async () => {
  begin({ a: [unavailable()] })
  push('a')
  await vi.advanceTimersByTimeAsync(500)
  sender.reached()
  await vi.advanceTimersByTimeAsync(5000)
  expect(times('a')).toEqual([0, 1000])
})
