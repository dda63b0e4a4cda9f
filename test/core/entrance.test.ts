import { expect, test } from 'vitest'
import type { Batch } from '../../core/batch.ts'
import { Account } from '../../core/account.ts'
import { Budget } from '../../core/budget.ts'
import { machineClock } from '../../core/clock.ts'
import type { Answer, Ticket } from '../../core/delivery.ts'
import { Entrance } from '../../core/entrance.ts'
import { DeliveryError } from '../../core/errors.ts'
import { BufferPool } from '../../core/pool.ts'
import { Standing, Suspects } from '../../core/standing.ts'
import { pieceLimits } from '../../proto/gathering.ts'
import { largeText } from '../../proto/json-read.ts'
import type { Signal } from '../../proto/signals.ts'
import { brokenItems, healthyItem, requestOfItems } from '../support/broken.ts'
import { lengthField, repeated } from '../support/hostile.ts'

const context = { receiver: 'r', transport: 't', peer: undefined, metadata: undefined, auth: undefined }
const mebibyte = 1 << 20
const size = 8 * mebibyte
const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const group = (content: Buffer): Buffer => lengthField(0x0a, content)
const scope = (content: Buffer): Buffer => group(lengthField(0x12, content))
const json = (before: string, unit: string, after: string): Buffer =>
  Buffer.from(`${before}${`${unit},`.repeat(size / (unit.length + 1))}${unit}${after}`)
const logs = (unit: string): Buffer => json('{"resourceLogs":[{"scopeLogs":[{"logRecords":[', unit, ']}]}]}')

const gone = new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'gone')

interface Heard {
  readonly outcome: Answer
  readonly batches: number
  readonly items: number
  /** Bytes held at most beside the body, and at the end. */
  readonly peak: number
  readonly left: number
  /** How many turns of the loop others had meanwhile. */
  readonly turns: number
}

/** Lets a request in beside somebody who wants a turn of the loop now and then. */
async function heardOf(
  signal: Signal,
  body: Buffer,
  { push = (batch: Batch) => batch.accept(), limit = 1e9, enters = (_ticket: Ticket): void => {} } = {},
): Promise<Heard> {
  const budget = new Budget(limit)
  const isJson = body[0] === 0x7b
  let batches = 0
  let items = 0
  let turns = 0
  const entrance = new Entrance(budget, batch => {
    batches++
    items += batch.items
    expect(batch.items).toBeLessThanOrEqual(pieceLimits.items)
    push(batch)
  })
  const probe = (): void => {
    turns++
    timer = setImmediate(probe)
  }
  let timer = setImmediate(probe)
  const charge = BufferPool.cost(body.length)
  budget.charge(charge)
  const outcome = await new Promise<Answer>(resolve => {
    const by = { answered: resolve }
    const ticket = isJson
      ? entrance.enterJson(signal, Buffer.from(body), charge, context, by)
      : entrance.enter(signal, Buffer.from(body), charge, context, by)
    enters(ticket)
  })
  await new Promise(resolve => setImmediate(resolve))
  clearImmediate(timer)
  return { outcome, batches, items, peak: budget.peak - charge, left: budget.used, turns }
}

test.each<[what: string, signal: Signal, body: Buffer, kind: string, items: number]>([
  ['empty groups', 'logs', repeated(hex('0a00'), size / 2), 'malformed', 0],
  ['groups of one empty item', 'logs', repeated(hex('0a0412021200'), 1_000_000), 'malformed', 0],
  ['empty scope groups', 'logs', group(repeated(hex('1200'), size / 2)), 'success', 0],
  ['scope groups of one empty item', 'traces', group(repeated(hex('12021200'), size / 4)), 'success', size / 4],
  ['empty items', 'logs', scope(repeated(hex('1200'), size / 2)), 'success', size / 2],
  ['empty metrics', 'metrics', scope(repeated(hex('1200'), size / 2)), 'success', 0],
  [
    'empty points',
    'metrics',
    scope(lengthField(0x12, lengthField(0x2a, repeated(hex('0a00'), size / 2)))),
    'success',
    size / 2,
  ],
  ['fields nobody knows', 'logs', repeated(hex('1200'), size / 2), 'success', 0],
  ['empty groups in JSON', 'logs', json('{"resourceLogs":[', '{}', ']}'), 'malformed', 0],
  ['empty items in JSON', 'logs', logs('{}'), 'success', Math.floor(size / 3) + 1],
  ['a value nobody knows in JSON', 'logs', json('{"x":[', '{}', ']}'), 'malformed', 0],
  ['keys nobody knows in JSON', 'logs', json('{', '"x":0', '}'), 'malformed', 0],
  ['an item of attributes in JSON', 'logs', logs(`{"attributes":[${'{},'.repeat(300_000)}{}]}`), 'malformed', 0],
  ['a text without an end in JSON', 'logs', logs(`{"body":{"stringValue":"${'\\n'.repeat(2_200_000)}`), 'malformed', 0],
  [
    'numbers that grow in JSON',
    'metrics',
    json(
      '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[',
      `{"histogram":{"dataPoints":[{"explicitBounds":[${'0,'.repeat(99_999)}0]}]}}`,
      ']}]}]}',
    ),
    'malformed',
    0,
  ],
])('%s: the request ends, others have their turns, and the memory comes back', async (_, signal, body, kind, items) => {
  const heard = await heardOf(signal, body)
  expect(heard.outcome).toMatchObject({ kind })
  expect(heard).toMatchObject({ items, left: 0 })
  // Beside the body: a piece and its making, groups; for JSON what is written, which may grow once.
  expect(heard.peak).toBeLessThan((body[0] === 0x7b ? 3 * body.length : 0) + 12 * mebibyte)
  if (kind === 'success') expect(heard.turns).toBeGreaterThan(2)
})

const large = scope(repeated(hex('12021a00'), size / 4))

test('a request that is small enters at once, also while a large one is being read', async () => {
  const budget = new Budget(1e9)
  const order: string[] = []
  const entrance = new Entrance(budget, batch => {
    order.push(batch.items === 1 ? 'small' : 'piece')
    batch.accept()
  })
  const enter = (body: Buffer): Promise<Answer> =>
    new Promise(resolve => {
      budget.charge(body.length)
      entrance.enter('logs', Buffer.from(body), body.length, context, { answered: resolve })
    })
  const slow = enter(large).then(() => order.push('large is done'))
  await enter(scope(hex('1200')))
  await slow
  expect(order[0]).toBe('small')
  expect(order.at(-1)).toBe('large is done')
  expect(budget.used).toBe(0)
})

test('JSON with very many keys of nobody is read in steps, small as it is', async () => {
  const unit = '{"timeUnixNano":"1","a":1,"b":{},"c":[],"d":"e","f":null}'
  const records = `${`${unit},`.repeat(8000)}${unit}`
  const text = Buffer.from(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[${records}]}]}]}`)
  expect(text.length).toBeLessThan(largeText)
  const { outcome, items, turns, left } = await heardOf('logs', text)
  expect([outcome.kind, items, left]).toEqual(['success', 8001, 0])
  expect(turns).toBeGreaterThan(1)
})

test.each<[when: string, pushed: number]>([
  ['before anything was pushed', 0],
  ['after some of it was pushed', 3],
])('a sender that leaves %s ends the work, and the memory comes back', async (_, pushed) => {
  let ticket: Ticket | undefined
  let count = 0
  const push = (batch: Batch): void => {
    batch.accept()
    if (++count === pushed) ticket?.withdraw(gone)
  }
  const enters = (mine: Ticket): void => {
    ticket = mine
    if (pushed === 0) ticket.withdraw(gone)
  }
  const heard = await heardOf('logs', Buffer.from(large), { push, enters })
  expect(heard.outcome).toMatchObject({ kind: 'refused', error: { code: 'DELIVERY_WITHDRAWN' } })
  expect(heard).toMatchObject({ batches: pushed, left: 0 })
})

test.each<[what: string, text: Buffer]>([
  ['protobuf', large],
  ['JSON', logs('{"severityNumber":1}')],
])('a sender of %s that leaves at once costs nothing more', async (_, body) => {
  const heard = await heardOf('logs', Buffer.from(body), { enters: ticket => ticket.withdraw(gone) })
  expect(heard).toMatchObject({ outcome: { kind: 'refused' }, batches: 0, left: 0 })
})

test('when a piece is refused the rest is not pushed, and the sender hears why', async () => {
  let count = 0
  const push = (batch: Batch): void => {
    if (++count < 3) batch.accept()
    else batch.refuse(new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', 'full', { retryAfter: 1700 }))
  }
  const heard = await heardOf('logs', Buffer.from(large), { push })
  expect(heard.outcome).toMatchObject({ kind: 'refused', error: { message: 'full' }, retryAfter: 1700 })
  expect(heard).toMatchObject({ batches: 3, left: 0 })
})

test('pieces that are dropped, rejected and accepted make one answer', async () => {
  let count = 0
  let first = 0
  const push = (batch: Batch): void => {
    if (count === 0) first = batch.items
    if (++count === 1) batch.reject('too old')
    else if (count === 2) batch.drop()
    else batch.accept()
  }
  const heard = await heardOf('logs', Buffer.from(large), { push })
  expect(heard.outcome).toEqual({ kind: 'partial', rejected: first, reason: 'too old' })
  expect(first).toBeGreaterThan(0)
  expect(heard.left).toBe(0)
})

test.each<[what: string, body: Buffer, limit: number]>([
  ['the pieces of a large request', large, large.length + 100_000],
  ['the text of a large request in JSON', logs('{"severityNumber":1}'), size * 1.5],
])('where there is no room for %s the sender is asked to come again', async (_, body, limit) => {
  const heard = await heardOf('logs', Buffer.from(body), { limit })
  expect(heard.outcome).toMatchObject({ kind: 'refused', error: { code: 'DELIVERY_MEMORY' } })
  expect(heard).toMatchObject({ batches: 0, left: 0 })
})

/** Lets in once more what was stored. */
async function again(body: Buffer, stored: readonly { items: number; groups: number }[]) {
  const budget = new Budget(1e9)
  const pushed: { items: number; shares: { items: number; groups: number }[] }[] = []
  const entrance = new Entrance(budget, batch => {
    const shares = batch.shares.map(({ items, groups }) => ({ items, groups }))
    pushed.push({ items: batch.items, shares })
    batch.accept()
  })
  let turns = 0
  const probe = (): void => {
    turns++
    timer = setImmediate(probe)
  }
  let timer = setImmediate(probe)
  const answer = await new Promise<Answer>(resolve =>
    entrance.enterAgain('logs', body, stored, context, { answered: resolve }),
  )
  clearImmediate(timer)
  return { answer, pushed, turns, left: budget.used }
}

const two = Buffer.concat([scope(repeated(hex('1200'), 2)), scope(hex('1200'))])
const asStored = [
  { items: 2, groups: 1 },
  { items: 1, groups: 1 },
]

test.each([
  ['as the requests that it was made of', two, asStored, asStored],
  ['as one where those do not add up', two, [{ items: 9, groups: 2 }], [{ items: 3, groups: 2 }]],
])('what was stored enters again %s', async (_, body, stored, shares) => {
  const { answer, pushed, left } = await again(body, stored)
  expect({ answer, pushed, left }).toMatchObject({
    answer: { kind: 'success' },
    pushed: [{ items: 3, shares }],
    left: 0,
  })
})

test('what was stored and is large enters whole, and others have their turns while it is read', async () => {
  const { pushed, turns, left } = await again(large, [])
  expect(pushed).toEqual([{ items: size / 4, shares: [{ items: size / 4, groups: 1 }] }])
  expect(turns).toBeGreaterThan(2)
  expect(left).toBe(0)
})

test('what was stored and is no request any more is told as malformed, and its memory comes back', async () => {
  const { answer, pushed, left } = await again(hex('0aff'), [])
  expect({ answer, pushed, left }).toMatchObject({ answer: { kind: 'malformed' }, pushed: [], left: 0 })
})

const [{ bytes: broken }] = brokenItems('traces')
const healthy = healthyItem('traces', 'x'.repeat(100))

test.each<[string, Buffer, object]>([
  ['a small request', requestOfItems('s', [healthy]), { kind: 'success' }],
  ['a small request with an item that no decoder reads', requestOfItems('s', [healthy, broken]), { kind: 'malformed' }],
  ['a large request', requestOfItems('s', Array(9000).fill(healthy)), { kind: 'success' }],
  [
    'a large request with one such item at its end',
    requestOfItems('s', [...Array<Buffer>(9000).fill(healthy), broken]),
    { kind: 'malformed' },
  ],
])('of a suspected sender %s is checked in full before any of it is let in', async (_, body, expected) => {
  const budget = new Budget(1e9)
  const batches: Batch[] = []
  const standing = new Standing(new Suspects(machineClock, new Account(undefined, 'service', 's')), undefined)
  const entrance = new Entrance(budget, batch => {
    batches.push(batch)
    batch.accept()
  })
  const answer = () =>
    new Promise<Answer>(answered => {
      budget.charge(body.length)
      entrance.enter('traces', Buffer.from(body), body.length, { ...context, standing }, { answered })
    })
  // Until something is known nobody looks so far.
  expect(await answer()).toMatchObject({ kind: 'success' })
  standing.sentMalformed(undefined)
  batches.length = 0
  expect(await answer()).toMatchObject(expected)
  expect(batches.length > 0).toBe(!body.includes(broken))
  expect(budget.used).toBe(0)
})
