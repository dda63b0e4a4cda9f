import { Subject } from 'rxjs'
import { expect, test } from 'vitest'
import type { Batch } from '../../core/batch.ts'
import type { ProcessorContext } from '../../core/component.ts'
import type { DeliveryError } from '../../core/errors.ts'
import { Host } from '../../core/host.ts'
import { type Logger, silent } from '../../core/logger.ts'
import { Reasons } from '../../core/books.ts'
import { Status } from '../../core/status.ts'
import { each } from '../../processors/steps.ts'
import { namesOf, spans } from '../support/batches.ts'

function running(visit: (batch: Batch) => Batch | undefined) {
  const refused: [string[], DeliveryError][] = []
  const logged: unknown[] = []
  const log: Logger = { ...silent, error: fields => void logged.push(fields) }
  const context: ProcessorContext = {
    id: 'toy/1',
    log,
    status: new Status(),
    extension: () => undefined,
    host: new Host(),
    pipeline: 'traces',
    signal: 'traces',
    downstream: { inFlight: 0, onIdle: () => () => {} },
    dropReason: reason => new Reasons().of(reason),
    drop: () => {},
    refuse: (batch, error) => void refused.push([namesOf(batch), error]),
    custody: kept => kept,
    holds: () => {},
  }
  const source = new Subject<Batch>()
  const out: string[][] = []
  const ends: unknown[] = []
  const subscription = each(
    context,
    visit,
  )(source).subscribe({
    next: batch => void out.push(namesOf(batch)),
    error: error => void ends.push(error),
    complete: () => void ends.push('complete'),
  })
  return { source, out, refused, logged, ends, subscription }
}

test('hands on what the function returns, and nothing for nothing', () => {
  const { source, out, refused } = running(batch => (namesOf(batch)[0] === 'b' ? undefined : batch))
  for (const name of ['a', 'b', 'c']) source.next(spans([name]))
  expect(out).toEqual([['a'], ['c']])
  expect(refused).toEqual([])
})

test('a batch on which it throws is refused with its cause, the flow goes on', () => {
  const boom = new Error('boom')
  const { source, out, refused, logged } = running(batch => {
    if (namesOf(batch)[0] === 'b') throw boom
    return batch
  })
  for (const name of ['a', 'b', 'c']) source.next(spans([name]))
  expect(out).toEqual([['a'], ['c']])
  expect(refused).toEqual([
    [
      ['b'],
      expect.objectContaining({ code: 'DELIVERY_STEP_FAILED', kind: 'retry', message: 'toy/1: boom', cause: boom }),
    ],
  ])
  expect(logged).toEqual([{ error: 'boom', items: 1 }])
})

test('an error of its input is passed on and refuses nothing', () => {
  const { source, refused, ends } = running(batch => batch)
  source.error(new Error('upstream'))
  expect(refused).toEqual([])
  expect(ends).toEqual([expect.objectContaining({ message: 'upstream' })])
})

test('completes with its input, and asks for nothing once unsubscribed', () => {
  const { source, ends, subscription } = running(batch => batch)
  source.complete()
  expect(ends).toEqual(['complete'])
  const other = running(batch => batch)
  other.subscription.unsubscribe()
  expect([other.source.observed, subscription.closed]).toEqual([false, true])
})
