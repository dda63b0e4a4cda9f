import { constants, type NodeGCPerformanceDetail, PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { silent } from '../../core/logger.ts'
import { MemoryPlan } from '../../core/memory.ts'
import { collectGarbage, MemoryWatch, surveyMemory, youngGeneration } from '../../service/memory.ts'
import { MovableClock } from '../support/clock.ts'

const mib = 1024 * 1024

function watched(held: number, clock = new MovableClock()) {
  const budget = new Budget(0)
  const facts = { physical: 4096 * mib, container: 1000 * mib, baseline: 50 * mib, young: 0, windows: 0 }
  const plan = new MemoryPlan(budget, facts)
  budget.charge(held)
  const state = { rss: 100 * mib, collections: 0, freed: 0, warnings: 0, cpu: 0, looks: 0 }
  const log = { ...silent, warn: () => void state.warnings++ }
  const cpu = (): number => {
    state.looks++
    return state.cpu
  }
  const collect = (): void => {
    state.collections++
    state.rss -= state.freed
  }
  const watch = new MemoryWatch(plan, budget, log, { rss: () => state.rss, cpu, collect }, clock)
  return {
    budget,
    state,
    plan,
    watch,
    look: (rss: number, now = 0) => ((state.rss = rss * mib), watch.check(now), budget.pressed),
  }
}

test('shortly below the hard limit the door closes, and opens again under the soft one', () => {
  const { look, budget } = watched(500 * mib)
  expect(look(949)).toBe(false)
  expect(look(951)).toBe(true)
  expect(budget.tryCharge(1)).toBe(false)
  expect(look(900)).toBe(true)
  expect(look(799)).toBe(false)
  expect(budget.tryCharge(1)).toBe(true)
})

test('what peers may send unasked is taken off the budget, and given back when they are fewer', () => {
  const budget = new Budget(0)
  const facts = { physical: 4096 * mib, container: 1000 * mib, baseline: 0, young: 0, windows: 16 * mib }
  const plan = new MemoryPlan(budget, facts)
  let windows = 16 * mib
  const watch = new MemoryWatch(plan, budget, silent, { rss: () => 0, collect() {}, windows: () => windows })
  const few = budget.limit
  windows = 116 * mib
  watch.check()
  expect(budget.limit).toBe(few - 100 * mib)
  windows = 16 * mib
  watch.check()
  expect(budget.limit).toBe(few)
})

test('whoever waits for room is woken when the door opens', () => {
  const { look, budget } = watched(500 * mib)
  let woken = 0
  budget.onRelease(() => woken++)
  look(1001)
  look(799)
  expect(woken).toBe(1)
})

test.each([
  ['near its limit every ten seconds', 850, 3, 0],
  ['over it every two', 1001, 13, 1],
])('garbage is collected when memory is high, and not all the time: %s', (_, rss, collections, warnings) => {
  const { look, state } = watched(500 * mib)
  for (let second = 0; second < 25; second++) look(rss, second * 1000)
  expect([state.collections, state.warnings]).toEqual([collections, warnings])
})

test('garbage that waited in queues is collected before memory is over, so that the door need not close', () => {
  const { look, state } = watched(500 * mib)
  state.freed = 200 * mib
  expect(look(801)).toBe(false)
  expect(state.collections).toBe(1)
  // At once after that it would find nothing.
  expect(look(810, 1000)).toBe(false)
  expect(state.collections).toBe(1)
  expect(look(960, 11_000)).toBe(false)
  expect(state.collections).toBe(2)
})

test('what a burst left is collected once it is calm, and not again while nothing comes of it', () => {
  const { look, state, watch, budget } = watched(0)
  watch.settle()
  const settled = state.rss / mib
  budget.charge(200 * mib)
  expect(look(settled + 200, 1000)).toBe(false)
  budget.release(200 * mib)
  look(settled + 200, 2000)
  expect(state.collections).toBe(0)
  look(settled + 200, 3000)
  expect(state.collections).toBe(1)
  // It found nothing: what is there now is what the process needs.
  for (let second = 4; second < 60; second++) look(settled + 200 + (second % 2) * 40, second * 1000)
  expect(state.collections).toBe(1)
  look(settled + 260, 60_000)
  expect(state.collections).toBe(2)
})

test('what was collected while data was held is no measure of what the process needs without it', () => {
  const { look, state, watch, budget } = watched(0)
  watch.settle()
  budget.charge(700 * mib)
  look(820, 1000)
  expect(state.collections).toBe(1)
  budget.release(700 * mib)
  look(820, 2000)
  expect(state.collections).toBe(1)
  look(820, 8000)
  expect(state.collections).toBe(2)
})

test('what was collected while there was much to do is no measure of what the process needs with little', () => {
  const { look, state, watch } = watched(0)
  watch.settle()
  // What work on data takes is no data in flight.
  state.cpu += 1000
  look(820, 1000)
  expect(state.collections).toBe(1)
  for (let second = 2; second < 10; second++) look(820 - 20, second * 1000)
  expect(state.collections).toBe(2)
})

test('many small requests are no calm, although little data is there at a time', () => {
  const { look, state, watch } = watched(0)
  watch.settle()
  const settled = state.rss / mib
  for (let second = 1; second < 30; second++) {
    state.cpu += 600
    look(settled + 200, second * 1000)
  }
  expect(state.collections).toBe(0)
  for (let second = 30; second < 33; second++) look(settled + 200, second * 1000)
  expect(state.collections).toBe(1)
})

test('with nothing held the door stays open, or it would stay closed for ever', () => {
  const { look, state } = watched(0)
  expect(look(1001)).toBe(false)
  expect(look(1001, 1000)).toBe(false)
  expect(state.warnings).toBe(1)
})

test('the door opens when the last was given back although memory stays over', () => {
  const { look, budget } = watched(500 * mib)
  expect(look(1001)).toBe(true)
  budget.release(500 * mib)
  expect(look(1001, 1000)).toBe(false)
})

test.each([
  ['nothing happens: once a second', 1, { held: 0, rss: 100, cpu: 0 }],
  ['a twentieth of a core is used: the same', 1, { held: 0, rss: 100, cpu: 50 }],
  ['more of it is used: four times', 4, { held: 0, rss: 100, cpu: 60 }],
  ['there is much data: four times', 4, { held: 100, rss: 100, cpu: 0 }],
  ['memory is high: four times', 4, { held: 0, rss: 801, cpu: 0 }],
])('memory is looked at as often as it can change: %s', async (_, expected, { held, rss, cpu }) => {
  const clock = new MovableClock()
  const { state, watch } = watched(held * mib, clock)
  state.rss = rss * mib
  watch.start()
  await clock.advance(2000)
  state.looks = 0
  for (let ms = 0; ms < 10_000; ms += 10) {
    state.cpu += cpu / 100
    await clock.advance(10)
  }
  watch.stop()
  expect([Math.round(state.looks / 10), clock.timers]).toEqual([expected, 0])
})

test.each([
  ['soon after the look before, within 250 ms', 100, 250],
  ['shortly before the next, with that', 900, 100],
])('when data grows while nothing happens, memory is looked at %s', async (_, after, wait) => {
  const clock = new MovableClock()
  const { state, watch, budget } = watched(0, clock)
  watch.start()
  while (state.looks < 10) await clock.advance(1)
  await clock.advance(after)
  budget.charge(budget.limit / 200)
  await clock.advance(Math.min(wait, 999 - after) - 1)
  expect(state.looks).toBe(10)
  budget.charge(budget.limit / 200 + 1)
  // Not put off by more of it.
  await clock.advance(wait / 2)
  budget.charge(budget.limit / 10)
  await clock.advance(wait / 2)
  expect(state.looks).toBe(11)
  watch.stop()
})

test('the baseline is what the process holds without data', () => {
  const { watch, state, plan } = watched(500 * mib)
  state.rss = 570 * mib
  watch.settle()
  expect(plan.facts.baseline).toBe(70 * mib)
})

test.each([
  [['--max-semi-space-size=8'], 24],
  [['--enable-source-maps', '--max_semi_space_size=4'], 12],
])('the options %j make young objects take %i MiB at most', (options, expected) => {
  expect(youngGeneration(options)).toBe(expected * mib)
})

test('finds out about the machine it runs on', () => {
  const facts = surveyMemory()
  expect(facts.baseline).toBeGreaterThan(10 * mib)
  expect(facts.physical).toBeGreaterThan(facts.baseline)
  expect(facts.container ?? 0).toBeLessThan(facts.physical)
})

test('what components keep beside the data is nothing that a closed door would give back', () => {
  const { look, budget, state } = watched(0)
  expect(budget.tryKeep(100 * mib)).toBe(true)
  expect(look(1001)).toBe(false)
  expect(state.warnings).toBe(1)
})

test('garbage is collected in one pass at a time, while data waits for it', async () => {
  const passes: { readonly at: number; readonly kind: number | undefined }[] = []
  const observer = new PerformanceObserver(list => {
    for (const one of list.getEntries()) {
      const { startTime: at, detail } = one as typeof one & { readonly detail: NodeGCPerformanceDetail }
      passes.push({ at, kind: detail.kind })
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  // Ends a marking that was under way.
  collectGarbage()
  const from = performance.now()
  collectGarbage()
  const to = performance.now()
  while (!passes.some(({ at }) => at >= from)) await nextTurn()
  observer.disconnect()
  const major = passes.filter(({ at, kind }) => at >= from && at <= to && kind === constants.NODE_PERFORMANCE_GC_MAJOR)
  expect(major).toHaveLength(1)
})
