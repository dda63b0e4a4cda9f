import { Subject } from 'rxjs'
import { expect, test } from 'vitest'
import type { Batch } from '../../core/batch.ts'
import { Reasons } from '../../core/books.ts'
import type { Reason, Verdict } from '../../core/verdict.ts'
import { each } from '../../processors/steps.ts'
import { namesOf, spans } from '../support/batches.ts'
import { processorContext } from '../support/contexts.ts'

function running(judge: (batch: Batch) => Batch | Verdict) {
  const { context, ended, failed } = processorContext({ id: 'toy/1' })
  const source = new Subject<Batch>()
  const out: string[][] = []
  const ends: unknown[] = []
  const subscription = each(
    context,
    judge,
  )(source).subscribe({
    next: batch => void out.push(namesOf(batch)),
    error: error => void ends.push(error),
    complete: () => void ends.push('complete'),
  })
  const named = <T>(list: [Batch, T][]): [string[], T][] => list.map(([batch, why]) => [namesOf(batch), why])
  return { source, out, ended: () => named(ended), failed: () => named(failed), ends, subscription }
}

test('hands on what passes, ends what does not, and does nothing before all of it is said', () => {
  const because: Reason = { kind: 'rule', counter: new Reasons().of('because') }
  const { source, out, ended, failed } = running(batch => {
    if (namesOf(batch)[0] !== 'b') return batch
    return { passes: spans(['c']), ends: [{ batch: spans(['b']), reason: because }] }
  })
  for (const name of ['a', 'b']) source.next(spans([name]))
  expect(out).toEqual([['a'], ['c']])
  expect(ended()).toEqual([[['b'], 'because']])
  expect(failed()).toEqual([])
})

test('a batch on which it throws fails whole, the flow goes on', () => {
  const boom = new Error('boom')
  const { source, out, ended, failed } = running(batch => {
    if (namesOf(batch)[0] === 'b') throw boom
    return batch
  })
  for (const name of ['a', 'b', 'c']) source.next(spans([name]))
  expect(out).toEqual([['a'], ['c']])
  expect(failed()).toEqual([[['b'], boom]])
  expect(ended()).toEqual([])
})

test('an error of its input is passed on and refuses nothing', () => {
  const { source, failed, ends } = running(batch => batch)
  source.error(new Error('upstream'))
  expect(failed()).toEqual([])
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
