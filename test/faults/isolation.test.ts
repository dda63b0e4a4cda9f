/** One slow or broken part hurts nobody else: by less than a tenth, until its queue is full; then its `when_full` decides. */
import { afterAll, expect, test } from 'vitest'
import { parameter, table, tell } from './figures.ts'
import { compare, faults } from './isolation.ts'

const pairs = parameter('KYMO_FAULTS_PAIRS', 5)
const rows: string[][] = []
afterAll(() => {
  const columns = ['fault', 'queue', 'items/s', 'p50, ms', 'p99, ms', 'p99 of the answer, ms', 'CPU', 'dropped', 'refused']
  tell('Isolation', [
    `Medians of ${pairs} phases without and with the fault, by turns: what the healthy destination gets of a load of 10,000 items a second.`,
    '',
    ...table(columns, rows),
  ])
})

/** Before the queue is full, and long after. */
const queues = [
  { name: 'large', queue: { queue_size: 1_000_000 } },
  { name: 'full, `drop`', queue: { queue_size: 20, when_full: 'drop' } },
]

test.each(queues.flatMap(queue => faults.map(fault => ({ ...fault, ...queue, called: queue.name }))))(
  '$name, queue $called',
  async ({ name, fault, queue, called }) => {
    const load = { fault, queue, pairs, length: 1500, rate: 200 }
    const first = await compare(load)
    const { without, with: faulty, dropped, refused } = first
    const both = (pick: (phase: typeof without) => number, digits = 1) =>
      `${pick(without).toFixed(digits)} / ${pick(faulty).toFixed(digits)}`
    rows.push([
      name,
      called,
      both(one => one.rate, 0),
      both(one => one.p50, 2),
      both(one => one.p99, 2),
      both(one => one.answer99, 2),
      both(one => one.cpu, 2),
      String(dropped),
      String(refused),
    ])
    expect(refused).toBe(0)
    expect(faulty.rate).toBeGreaterThan(without.rate * 0.9)
    expect.soft(faulty.p99).toBeLessThan(without.p99 * 1.1)
  },
)
