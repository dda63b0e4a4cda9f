import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ProcessMeter } from '../../service/figures.ts'
import { MovableClock } from '../support/clock.ts'

/** Keeps the thread busy. */
function block(milliseconds: number): void {
  const until = performance.now() + milliseconds
  while (performance.now() < until);
}

test('the longest block of the loop is told once, to the next who asks', async () => {
  const meter = new ProcessMeter()
  await delay(120)
  meter.read()
  await delay(120)
  block(400)
  await delay(120)
  const blocked = meter.read().eventLoopBlockMilliseconds
  expect(blocked).toBeGreaterThan(340)
  await delay(100)
  expect(meter.read().eventLoopBlockMilliseconds).toBeLessThan(blocked)
  meter.stop()
})

test('the loop is looked at while somebody asks: nobody has yet, somebody does every minute, nobody does any more', async () => {
  const clock = new MovableClock()
  const delay = {
    isOn: false,
    count: 0,
    max: 0,
    enable: () => (delay.isOn = true),
    disable: () => (delay.isOn = false),
    reset: () => {},
  }
  const meter = new ProcessMeter(clock, delay)
  const states = [delay.isOn]
  for (let minute = 0; minute < 10; minute++) {
    meter.read()
    await clock.advance(60_000)
    states.push(delay.isOn)
  }
  await clock.advance(300_000)
  states.push(delay.isOn)
  meter.read()
  states.push(delay.isOn)
  meter.stop()
  expect(states).toEqual([false, ...Array<boolean>(10).fill(true), false, true])
  expect([delay.isOn, clock.timers]).toEqual([false, 0])
})

test('before it is looked at again, what was seen last is forgotten: Node would take the pause for a block', async () => {
  const clock = new MovableClock()
  const calls: string[] = []
  const call = (name: string) => () => calls.push(name) > 0
  const delay = {
    count: 0,
    max: 0,
    enable: call('enable'),
    disable: call('disable'),
    reset: () => void call('reset')(),
  }
  const meter = new ProcessMeter(clock, delay)
  meter.read()
  await clock.advance(600_000)
  meter.read()
  meter.stop()
  expect(calls).toEqual(['reset', 'enable', 'disable', 'reset', 'enable', 'disable'])
})
