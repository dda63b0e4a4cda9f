import { Subject } from 'rxjs'
import { expect, test } from 'vitest'
import type { Batch } from '../../core/batch.ts'
import type { ProcessorContext } from '../../core/component.ts'
import { Host } from '../../core/host.ts'
import { silent } from '../../core/logger.ts'
import { Reasons } from '../../core/books.ts'
import { Status } from '../../core/status.ts'
import type { Reason, Verdict } from '../../core/verdict.ts'
import { each } from '../../processors/steps.ts'
import { namesOf, spans } from '../support/batches.ts'
import { machineClock } from '../../core/clock.ts'

function running(judge: (batch: Batch) => Batch | Verdict) {
  const ended: [string[], string][] = []
  const failed: [string[], unknown][] = []
  const context: ProcessorContext = {
    id: 'toy/1',
    log: silent,
    status: new Status(),
    extension: () => undefined,
    host: new Host(),
    clock: machineClock,
    pipeline: 'traces',
    signal: 'traces',
    downstream: { inFlight: 0, onIdle: () => () => {} },
    reason: (name, kind) => ({ kind, counter: new Reasons().of(name) }),
    end: (batch, { counter }) => void ended.push([namesOf(batch), counter.reason]),
    fail: (batch, error) => void failed.push([namesOf(batch), error]),
    fault: () => {},
    refuse: () => {},
    custody: kept => kept,
    holds: () => {},
  }
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
  return { source, out, ended, failed, ends, subscription }
}

test('hands on what passes, ends what does not, and does nothing before all of it is said', () => {
  const because: Reason = { kind: 'rule', counter: new Reasons().of('because') }
  const { source, out, ended, failed } = running(batch => {
    if (namesOf(batch)[0] !== 'b') return batch
    return { passes: spans(['c']), ends: [{ batch: spans(['b']), reason: because }] }
  })
  for (const name of ['a', 'b']) source.next(spans([name]))
  expect(out).toEqual([['a'], ['c']])
  expect(ended).toEqual([[['b'], 'because']])
  expect(failed).toEqual([])
})

test('a batch on which it throws fails whole, the flow goes on', () => {
  const boom = new Error('boom')
  const { source, out, ended, failed } = running(batch => {
    if (namesOf(batch)[0] === 'b') throw boom
    return batch
  })
  for (const name of ['a', 'b', 'c']) source.next(spans([name]))
  expect(out).toEqual([['a'], ['c']])
  expect(failed).toEqual([[['b'], boom]])
  expect(ended).toEqual([])
})

test('an error of its input is passed on and refuses nothing', () => {
  const { source, failed, ends } = running(batch => batch)
  source.error(new Error('upstream'))
  expect(failed).toEqual([])
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
