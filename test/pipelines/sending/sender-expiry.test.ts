import { afterEach, expect, test } from 'vitest'
import { Books } from '../../../core/books.ts'
import { Budget } from '../../../core/budget.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { Journal } from '../../../core/journal.ts'
import { silent } from '../../../core/logger.ts'
import { sending } from '../../../core/sending.ts'
import { Status } from '../../../core/status.ts'
import { Claim } from '../../../pipelines/sending/claim.ts'
import { makeEntry } from '../../../pipelines/sending/entry.ts'
import { Sender } from '../../../pipelines/sending/sender.ts'
import * as z from 'zod'
import { batchOf } from '../../support/exporting.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'

const budget = new Budget(1 << 30)
let sender: Sender
afterEach(() => sender.stop(0))

const config = z.strictObject(sending()).parse({ retry_on_failure: { initial_interval: '1h', max_interval: '1h' } })
const body = tracesRequest([{ spans: ['a'] }])

/** A sender to a destination that is away, which only probes now, and what has looked at the age of what waits there. */
async function away() {
  const books = new Books().node({ kind: 'exporter', id: 'away', pipeline: '', signal: 'traces' })
  sender = new Sender({
    exporter: { send: () => Promise.reject(new DeliveryError('DELIVERY_UNREACHABLE', 'retry', 'away')) },
    config,
    books,
    journal: new Journal(),
    log: silent,
    status: new Status(),
    budget: () => budget,
    consumers: 10,
    ordered: false,
  })
  let looks = 0
  let seq = 0
  const send = (expires: number): void => {
    const record = { seq: ++seq, items: 1, bytes: body.length, at: Date.now() }
    const claim = new Claim(() => {}, { record, expires })
    Object.defineProperty(claim, 'expires', {
      get() {
        looks++
        return expires
      },
    })
    sender.send(makeEntry(batchOf(body).taken(), seq, claim, config.retry_on_failure))
  }
  const later = performance.now() + 3_600_000
  // So many failures in a row open the circuit.
  while (books.failedAttempts < 5) {
    send(later)
    await new Promise(resolve => setImmediate(resolve))
  }
  looks = 0
  return { send, later, looks: () => looks, books }
}

test('what comes while a destination is away is not paid for with a look at all that waits', async () => {
  const { send, later, looks, books } = await away()
  for (let i = 0; i < 2000; i++) send(later + i)
  expect(books.lost.total).toBe(0)
  expect(looks()).toBeLessThan(2000 * 4)
})

test('what is too old makes room when something comes, each looked at once', async () => {
  const { send, looks, books } = await away()
  const old = performance.now()
  // In front of these stands what failed once already, and is not too old.
  sender.expire()
  const before = looks()
  for (let i = 0; i < 2000; i++) send(old)
  sender.expire()
  expect(books.lost.of('expired').value).toBe(2000)
  expect(looks() - before).toBeLessThan(2000 * 8)
})
