import { expect, test } from 'vitest'
import { type Cancellable, Canceller } from '../../core/cancellation.ts'

const noted = (heard: string[], name: string): Cancellable => ({
  cancelled: reason => void heard.push(`${name}: ${String(reason)}`),
})

test('all who watch are told once, with the reason; those who stopped are not', () => {
  const heard: string[] = []
  const canceller = new Canceller()
  const all = ['a', 'b', 'c', 'd', 'e'].map(name => noted(heard, name))
  for (const one of all) canceller.watch(one)
  for (const i of [0, 3, 4]) canceller.unwatch(all[i])
  expect([canceller.isCancelled, canceller.reason]).toEqual([false, undefined])
  canceller.cancel('enough')
  canceller.cancel('again')
  expect(heard.toSorted()).toEqual(['b: enough', 'c: enough'])
  expect([canceller.isCancelled, canceller.reason]).toEqual([true, 'enough'])
  canceller.watch(noted(heard, 'late'))
  canceller.unwatch(all[1])
  expect(heard).toHaveLength(2)
})

test('who is told may stop others, and what it is told of may be told more', () => {
  const canceller = new Canceller()
  const heard: string[] = []
  const second = noted(heard, 'second')
  canceller.watch({ cancelled: () => canceller.unwatch(second) })
  canceller.watch(second)
  canceller.cancel('enough')
  expect(heard).toEqual(['second: enough'])
})

test('what one throws who is told keeps nothing from the others, and is heard of', () => {
  const faults: unknown[] = []
  const canceller = new Canceller(error => faults.push(error))
  const heard: string[] = []
  const fault = new Error('mine')
  const { signal } = canceller
  canceller.watch({
    cancelled() {
      throw fault
    },
  })
  canceller.watch(noted(heard, 'other'))
  canceller.cancel('enough')
  expect([faults, heard, signal.aborted]).toEqual([[fault], ['other: enough'], true])
})

test.each(['before', 'after'])('a signal that is asked for %s it is cancelled says the same', when => {
  const canceller = new Canceller()
  const signal = when === 'before' ? canceller.signal : undefined
  canceller.cancel('enough')
  expect(signal ?? canceller.signal).toBe(canceller.signal)
  expect([canceller.signal.aborted, canceller.signal.reason]).toEqual([true, 'enough'])
})

test('there is a reason always', () => {
  const canceller = new Canceller()
  canceller.cancel()
  expect(canceller.reason).toBeInstanceOf(Error)
})
