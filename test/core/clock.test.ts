import { expect, test } from 'vitest'
import { GuardedClock, machineClock, within } from '../../core/clock.ts'
import { MovableClock } from '../support/clock.ts'

function guarded() {
  const time = new MovableClock()
  const faults: unknown[] = []
  return { time, faults, clock: new GuardedClock(time, error => faults.push(error)) }
}

test('timers run when they are due, in the order in which they are', async () => {
  const { time, clock } = guarded()
  const log: string[] = []
  clock.after(20, () => void log.push(`b ${clock.now()}`))
  clock.after(10, () => void log.push(`a ${clock.now()}`))
  const every = clock.every(15, () => void log.push(`every ${clock.now()}`))
  clock.soon(() => void log.push(`soon ${clock.now()}`))
  await time.advance(35)
  expect(log).toEqual(['soon 0', 'a 10', 'every 15', 'b 20', 'every 30'])
  every.cancel()
  await time.advance(100)
  expect(log).toHaveLength(5)
  expect(time.timers).toBe(0)
})

test('a throw and a rejection are faults, and the timer goes on', async () => {
  const { time, faults, clock } = guarded()
  clock.every(10, () => {
    throw new Error('thrown')
  })
  clock.every(10, () => Promise.reject(new Error('rejected')))
  await time.advance(20)
  expect(faults.map(String)).toEqual(['Error: thrown', 'Error: rejected', 'Error: thrown', 'Error: rejected'])
})

test('work does not overlap itself', async () => {
  const { time, clock } = guarded()
  let begun = 0
  const { promise, resolve } = Promise.withResolvers<undefined>()
  clock.every(10, () => {
    begun++
    return promise
  })
  await time.advance(50)
  expect(begun).toBe(1)
  resolve(undefined)
  await time.advance(10)
  expect(begun).toBe(2)
})

test.each([2 ** 31 - 1, 2 ** 31, 1000 * 3_600_000, Infinity])(
  'a timer of %d milliseconds does not run at once',
  async ms => {
    let runs = 0
    const timers = [machineClock.after(ms, () => void runs++), machineClock.every(ms, () => void runs++)]
    await new Promise(resolve => setTimeout(resolve, 5))
    for (const timer of timers) timer.cancel()
    expect(runs).toBe(0)
  },
)

test('a jump runs a timer once', async () => {
  const { time, clock } = guarded()
  let runs = 0
  clock.every(10, () => void runs++)
  await time.jump(3_600_000)
  expect(runs).toBe(1)
})

test('nothing is left of a clock that was stopped, and nothing begins', async () => {
  const { time, clock } = guarded()
  let runs = 0
  clock.after(10, () => void runs++)
  clock.stop()
  clock.every(10, () => void runs++)
  await time.advance(100)
  expect([runs, time.timers]).toEqual([0, 0])
})

test.each([
  ['what comes in time', 5, () => Promise.resolve('here'), 'here'],
  ['what fails in time', 5, () => Promise.reject(new Error('broken')), 'Error: broken'],
  ['what never comes', 20, () => new Promise<string>(() => {}), 'Error: too late'],
])('within a time: %s, and no timer is left', async (_, ms, work, expected) => {
  const time = new MovableClock()
  const found = within(time, 10, work(), 'too late').catch(String)
  await time.advance(ms)
  expect([await found, time.timers]).toEqual([expected, 0])
})
