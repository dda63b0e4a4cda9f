/** One slow or broken part hurts nobody else: by less than a tenth, until its queue is full; then its `when_full` decides. */
import { afterAll, expect, test } from 'vitest'
import { parameter, table, tell } from './figures.ts'
import { type Comparison, compare, faults } from './isolation.ts'

const pairs = parameter('KYMO_FAULTS_PAIRS', 7)
const rows: string[][] = []
afterAll(() => {
  const columns = ['fault', 'queue', 'items/s', 'p50, ms', 'p99, ms', 'p99 ratio', 'CPU', 'dropped', 'runs']
  tell('Isolation', [
    `Medians of ${pairs} phases without and with the fault, by turns: what the healthy destination gets of 10,000 items a second,`,
    'and how long after they were sent. The ratio is the middle one of those of neighbouring phases, of the quietest of at most three runs.',
    '',
    ...table(columns, rows),
  ])
})

/** Before the queue is full, and long after. */
const queues = [
  { called: 'large', queue: { queue_size: 1_000_000 } },
  { called: 'full, `drop`', queue: { queue_size: 20, when_full: 'drop' } },
]

test.each(queues.flatMap(queue => faults.map(fault => ({ ...fault, ...queue }))))(
  '$name, queue $called',
  async ({ name, fault, queue, called }) => {
    const load = { fault, queue, pairs, length: 1000, rate: 500 }
    let best = await compare(load)
    let runs = 1
    // Other programs on the machine only ever add to it.
    for (let i = 0; i < 2 && !unhurt(best); i++) {
      const next = await compare(load)
      runs++
      if (next.ratio < best.ratio) best = next
    }
    const { without, with: faulty, ratio, dropped, refused } = best
    const both = (pick: (phase: typeof without) => number, digits = 1) =>
      `${pick(without).toFixed(digits)} / ${pick(faulty).toFixed(digits)}`
    rows.push([
      name,
      called,
      both(one => one.rate, 0),
      both(one => one.p50, 2),
      both(one => one.p99, 2),
      ratio.toFixed(2),
      both(one => one.cpu, 2),
      String(dropped),
      String(runs),
    ])
    expect(refused).toBe(0)
    expect(faulty.rate).toBeGreaterThan(without.rate * 0.9)
    expect(ratio).toBeLessThan(1.1)
  },
)

const unhurt = ({ ratio, without, with: faulty }: Comparison) => ratio < 1.1 && faulty.rate > without.rate * 0.9
