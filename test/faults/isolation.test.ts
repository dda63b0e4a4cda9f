/** One slow or broken part hurts nobody else: by less than a tenth, until its queue is full; then its `when_full` decides. */
import { afterAll, expect, test } from 'vitest'
import { parameter, table, tell } from './figures.ts'
import { type Comparison, compare, faults } from './isolation.ts'

const pairs = parameter('KYMO_FAULTS_PAIRS', 7)
const rows: string[][] = []
afterAll(() => {
  const columns = ['fault', 'queue', 'items/s', 'p50, ms', 'p99, ms', 'p99 ratio', 'CPU', 'dropped', 'refused', 'runs']
  tell('Isolation', [
    `${pairs} phases of a second without and with the fault, by turns (on disk ${3 * pairs}): what the healthy destination gets of 10,000 items a second`,
    '(the middle phase), and how long after they were sent (all phases together). Of at most three runs the quietest.',
    '',
    ...table(columns, rows),
  ])
})

/** Before the queue is full, and long after. */
const queues = [
  { called: 'large', queue: { queue_size: 1_000_000 } },
  { called: 'full, `drop`', queue: { queue_size: 20, when_full: 'drop' } },
  { called: 'on disk, `spill`', queue: { queue_size: 20 }, durable: true },
]

const [hanging] = faults
const both = ({ without, with: faulty }: Comparison, pick: (phase: Comparison['with']) => number, digits = 1) =>
  `${pick(without).toFixed(digits)} / ${pick(faulty).toFixed(digits)}`
const row = (name: string, called: string, found: Comparison, runs: number) => [
  name,
  called,
  both(found, one => one.rate, 0),
  both(found, one => one.p50, 2),
  both(found, one => one.p99, 2),
  found.ratio.toFixed(2),
  both(found, one => one.cpu, 2),
  String(found.dropped),
  String(found.refused),
  String(runs),
]

test.each(queues.flatMap(queue => faults.map(fault => ({ ...fault, ...queue }))))(
  '$name, queue $called',
  async ({ name, fault, called, ...queue }) => {
    // With a queue on disk there is more garbage in this process and in Kymo: pauses are rarer than phases.
    const load = { fault, ...queue, pairs: 'durable' in queue ? 3 * pairs : pairs, length: 1000, rate: 500 }
    let best = await compare(load)
    let runs = 1
    // Other programs on the machine only ever add to it.
    for (let i = 0; i < 2 && !unhurt(best); i++) {
      const next = await compare(load)
      runs++
      if (next.ratio < best.ratio) best = next
    }
    rows.push(row(name, called, best, runs))
    expect(best.refused).toBe(0)
    expect(best.with.rate).toBeGreaterThan(best.without.rate * 0.9)
    expect(best.ratio).toBeLessThan(1.1)
  },
)

// When the queue is full of what was to be kept, senders come again or wait: as chosen, and no longer than the fault lasts.
test.each([
  { called: 'full, `refuse`', queue: { queue_size: 20, when_full: 'refuse' }, refuses: true },
  { called: 'full, `block_on_overflow`', queue: { queue_size: 20, block_on_overflow: true }, refuses: false },
])('a destination that never answers, queue $called', async ({ called, queue, refuses }) => {
  const found = await compare({ fault: hanging.fault, queue, pairs, length: 1000, rate: 500 })
  rows.push(row(hanging.name, called, found, 1))
  expect(found.refused > 0).toBe(refuses)
  expect(found.with.rate).toBeLessThan(found.without.rate / 2)
  expect(found.dropped).toBe(0)
})

const unhurt = ({ ratio, without, with: faulty }: Comparison) => ratio < 1.1 && faulty.rate > without.rate * 0.9
