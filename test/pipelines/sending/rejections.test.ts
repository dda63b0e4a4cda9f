/** What a destination that refuses for good is sent, and what becomes of the data. */
import { afterEach, describe, expect, test } from 'vitest'
import type { Batch } from '../../../core/batch.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { encodeGroups } from '../../../proto/group.ts'
import type { Signal } from '../../../proto/signals.ts'
import { brokenItems, decodes, healthyItem, requestOfItems } from '../../support/broken.ts'
import { type Behaviour, toyGraph, type ToyGraph } from '../../support/graph.ts'
import { names, spanNames, tracesRequest } from '../../support/otlp-bytes.ts'
import { decode } from '../../support/otlp-proto.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(50)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const sink = () => toy.sinks['sink']
const books = () => toy.books.nodes.find(node => node.name.kind === 'exporter')!
const no = new DeliveryError('DELIVERY_REJECTED', 'rejected', 'cannot decode')
const tooLarge = new DeliveryError('DELIVERY_TOO_LARGE', 'too_large', 'too large')
const namesOf = (batch: Batch): string[] => spanNames(encodeGroups(batch.groups))
/** Rejects every batch with such a name in it. */
const without =
  (bad: (name: string) => boolean, error = no): Behaviour =>
  batch =>
    namesOf(batch).some(bad) ? Promise.reject(error) : Promise.resolve(undefined)
/** Decodes all of it, or refuses all of it. */
const decodesAll =
  (seen: string[]): Behaviour =>
  batch => {
    try {
      const text = JSON.stringify(decode(batch.signal, encodeGroups(batch.groups)))
      seen.push(text)
      return Promise.resolve(undefined)
    } catch {
      return Promise.reject(no)
    }
  }
const merged = (min_size: number) => ({ sending_queue: { batch: { min_size, flush_timeout: '60s' } } })
const direct = { sending_queue: { wait_for_result: true } }

describe.each<Signal>(['traces', 'metrics', 'logs'])('malformed %s', signal => {
  const broken = brokenItems(signal).filter(({ bytes }) => !decodes(signal, bytes))

  test('are taken out of a merged batch at the first rejection, and their sender is named', async () => {
    const pipelines = [{ id: signal, exporters: ['sink'] }]
    toy = await toyGraph({ exporters: { sink: merged(broken.length * 3) }, pipelines })
    const seen: string[] = []
    sink().behave = decodesAll(seen)
    const pushed = broken.map(({ bytes }, i) =>
      toy.push(requestOfItems(`s${i}`, [healthyItem(signal, `a${i}`), bytes, healthyItem(signal, `b${i}`)]), {
        signal,
      }),
    )
    for (const { outcome } of pushed) expect((await outcome).kind).toBe('success')
    await expect.poll(() => books().held()).toBe(0)
    // Once with it, once without.
    expect(sink().attempts.length).toBe(2)
    const text = seen.join('')
    for (let i = 0; i < broken.length; i++) expect(text.includes(`a${i}`) && text.includes(`b${i}`)).toBe(true)
    const { rejected, mended, delivered } = books()
    expect(rejected.of('malformed').value).toBe(rejected.total)
    expect(rejected.total + mended).toBe(broken.length)
    expect(delivered).toBe(broken.length * 3 - rejected.total)
    const noted = toy.journal.find({ reason: 'malformed', limit: 1000 })
    expect(noted.length).toBe(rejected.total)
  })
})

test('who waits for the answer hears of the malformed item', async () => {
  toy = await toyGraph({ exporters: { sink: direct } })
  sink().behave = decodesAll([])
  const [{ bytes }] = brokenItems('traces')
  const mixed = await toy.push(requestOfItems('s', [healthyItem('traces', 'a'), bytes])).outcome
  expect(mixed).toMatchObject({ kind: 'partial', rejected: 1 })
  expect(await toy.push(requestOfItems('s', [bytes])).outcome).toMatchObject({ kind: 'rejected' })
})

test('a destination that takes nothing of what it is sent is not well, until it takes something', async () => {
  toy = await toyGraph({ exporters: { sink: direct } })
  const status = () => toy.graph.components.find(one => one.kind === 'exporter')?.status
  const push = (name: string) => toy.push(tracesRequest([{ spans: [name] }])).outcome
  sink().behave = without(name => name.startsWith('bad'))
  for (const name of names('bad', 4)) await push(name)
  expect(status()?.state).toBe('OK')
  await push('bad5')
  expect(status()).toMatchObject({ state: 'RecoverableError', lastError: 'takes nothing: cannot decode' })
  await push('good')
  expect(status()?.state).toBe('OK')
})

describe('a search for what a destination takes', () => {
  test.each([1, 4, 40])('among %i requests costs at most 64 sends and two per request', async requests => {
    toy = await toyGraph({ exporters: { sink: merged(requests * 100) } })
    // Nothing that we could see, in every request, and two of three items are fine.
    sink().behave = without(name => Number(name.replace(/^\D*/, '')) % 3 === 0)
    for (let i = 0; i < requests; i++)
      toy.push(tracesRequest([{ spans: names(`r${i}n`, 100).map(n => n.replace(/^r\d+/, '')) }]))
    await expect.poll(() => books().held()).toBe(0)
    expect(sink().attempts.length - 1).toBeLessThanOrEqual(64 + 2 * requests)
  })

  test('a bad sender among many loses only its own, however many items are bad', async () => {
    toy = await toyGraph({ exporters: { sink: merged(30 * 50) } })
    sink().behave = without(name => name.startsWith('bad'))
    for (let i = 0; i < 30; i++) toy.push(tracesRequest([{ spans: names(i % 3 === 0 ? 'bad' : `good${i}.`, 50) }]))
    await expect.poll(() => books().held()).toBe(0)
    expect(sink().all.length).toBe(20 * 50)
    expect(books().rejected.of('rejected').value).toBe(10 * 50)
    expect(sink().attempts.length - 1).toBeLessThanOrEqual(64 + 2 * 30)
  })

  test.each([
    ['rejects', no],
    ['finds too large', tooLarge],
  ])('is made once where the destination %s everything, and again once something is taken', async (_, error) => {
    toy = await toyGraph({ exporters: { sink: direct } })
    sink().behave = () => Promise.reject(error)
    const push = (name: string) => toy.push(tracesRequest([{ spans: names(name, 200) }])).outcome
    const all = await Promise.all(['a', 'b', 'c', 'd'].map(push))
    expect(all.map(({ kind }) => kind)).toEqual(['rejected', 'rejected', 'rejected', 'rejected'])
    expect(sink().attempts.length).toBeLessThanOrEqual(4 + 64 + 2)
    const before = sink().attempts.length
    await push('e')
    expect(sink().attempts.length).toBe(before + 1)
    sink().behave = () => Promise.resolve(undefined)
    await push('f')
    sink().behave = without(name => name === 'g7', error)
    expect(await push('g')).toMatchObject({ kind: 'partial', rejected: 1 })
  })

  test('what is refused while one goes on waits for what that finds', async () => {
    toy = await toyGraph({ exporters: { sink: direct } })
    sink().behave = without(name => name.startsWith('bad'))
    const outcomes = ['a', 'b', 'c'].map(
      name => toy.push(tracesRequest([{ spans: [...names(name, 20), `bad${name}`] }])).outcome,
    )
    for (const outcome of outcomes) expect(await outcome).toMatchObject({ kind: 'partial', rejected: 1 })
    expect(sink().all.length).toBe(60)
  })

  test('ends with a stop, and the books balance', async () => {
    toy = await toyGraph({ exporters: { sink: merged(400) } })
    let sends = 0
    sink().behave = () => (++sends > 3 ? new Promise(() => {}) : Promise.reject(no))
    for (let i = 0; i < 4; i++) toy.push(tracesRequest([{ spans: names(`s${i}`, 100) }]))
    await expect.poll(() => sends).toBe(4)
    await toy.graph.stop(1)
    expect(books().lost.of('shutdown').value + books().rejected.total).toBe(400)
  })
})

test('what is too large is cut as far as it takes, once something fits', async () => {
  toy = await toyGraph({ exporters: { sink: direct } })
  sink().behave = batch => (batch.items > 1 ? Promise.reject(tooLarge) : Promise.resolve(undefined))
  expect((await toy.push(tracesRequest([{ spans: names('s', 300) }])).outcome).kind).toBe('success')
  expect(sink().all.length).toBe(300)
})
