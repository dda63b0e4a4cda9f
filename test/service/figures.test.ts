import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ProcessMeter } from '../../service/figures.ts'

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
