import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { leastBudget, type MemoryFacts, type MemoryLimits, MemoryPlan } from '../../core/memory.ts'

const mib = 1024 * 1024

function planned(facts: Partial<MemoryFacts>, ...limits: MemoryLimits[]) {
  const budget = new Budget(0)
  const plan = new MemoryPlan(budget, {
    physical: 8192 * mib,
    container: undefined,
    baseline: 60 * mib,
    young: 24 * mib,
    windows: 16 * mib,
    ...facts,
  })
  for (const limit of limits) plan.configure(limit)
  return { plan, budget, hard: plan.hard / mib, soft: plan.soft / mib, room: budget.limit / mib }
}

test.each<[string, Partial<MemoryFacts>, MemoryLimits[], { hard: number; soft: number; room: number }]>([
  ['without any limit a quarter of the machine is taken', {}, [], { hard: 2048, soft: 1638.4, room: 1538.4 }],
  ['but 4 GiB at most', { physical: 65_536 * mib }, [], { hard: 4096, soft: 3276.8, room: 3176.8 }],
  ['the limit of the container holds', { container: 500 * mib }, [], { hard: 500, soft: 400, room: 300 }],
  ['a configured limit holds', {}, [{ limitMib: 1000 }], { hard: 1000, soft: 800, room: 700 }],
  ['even above the share taken without one', {}, [{ limitMib: 4000 }], { hard: 4000, soft: 3200, room: 3100 }],
  [
    'but not above that of the container',
    { container: 500 * mib },
    [{ limitMib: 900 }],
    { hard: 500, soft: 400, room: 300 },
  ],
  ['a spike is kept free', {}, [{ limitMib: 1000, spikeLimitMib: 400 }], { hard: 1000, soft: 600, room: 500 }],
  [
    'percentages are of the container',
    { container: 1000 * mib },
    [{ limitPercentage: 50, spikeLimitPercentage: 10 }],
    { hard: 500, soft: 400, room: 300 },
  ],
  [
    'of several limits the lowest holds',
    {},
    [{ limitMib: 1000 }, { limitMib: 900, spikeLimitMib: 100 }, { limitMib: 950 }],
    { hard: 900, soft: 800, room: 700 },
  ],
  [
    'a tight limit leaves the least room',
    { container: 110 * mib },
    [],
    { hard: 110, soft: 88, room: leastBudget / mib },
  ],
])('%s', (_, facts, limits, expected) => {
  const { hard, soft, room } = planned(facts, ...limits)
  expect(hard).toBeCloseTo(expected.hard, 4)
  expect(soft).toBeCloseTo(expected.soft, 4)
  expect(room).toBeCloseTo(expected.room, 4)
})

test('says that a limit is tight', () => {
  expect(planned({ container: 110 * mib }).plan.tight).toBe(true)
  expect(planned({ container: 500 * mib }).plan.tight).toBe(false)
})

test('what was measured later changes the budget', () => {
  const { plan, budget } = planned({ container: 500 * mib })
  plan.measured({ baseline: 100 * mib })
  expect(budget.limit / mib).toBe(260)
})

test('whatever is configured, soft is not above hard, hard not above what there is, and the room fits or is the least', () => {
  const size = fc.integer({ min: 1, max: 1 << 16 })
  const percent = fc.integer({ min: 0, max: 200 })
  fc.assert(
    fc.property(
      size,
      fc.option(size, { nil: undefined }),
      fc.record(
        { limitMib: size, limitPercentage: percent, spikeLimitMib: size, spikeLimitPercentage: percent },
        { requiredKeys: [] },
      ),
      (physical, container, limits) => {
        const facts = { physical: physical * mib, container: container && container * mib }
        const { plan, budget } = planned(facts, limits)
        expect(plan.soft).toBeLessThanOrEqual(plan.hard)
        expect(plan.soft).toBeGreaterThanOrEqual(0)
        expect(plan.hard).toBeLessThanOrEqual(plan.total)
        expect(budget.limit === leastBudget || budget.limit <= plan.soft).toBe(true)
      },
    ),
  )
})

test('a limit that is taken back holds no longer; of those that are left the lowest does', () => {
  const budget = new Budget(0)
  const facts = { physical: 4000 * 2 ** 20, container: undefined, baseline: 0, young: 0, windows: 0 }
  const plan = new MemoryPlan(budget, facts)
  const usual = plan.hard
  const end = plan.configure({ limitMib: 200 })
  const other = plan.configure({ limitMib: 300 })
  expect(plan.hard).toBe(200 * 2 ** 20)
  end()
  end()
  expect(plan.hard).toBe(300 * 2 ** 20)
  other()
  expect(plan.hard).toBe(usual)
})
