/** Told to end at any moment, in any state: within the deadline, and without a loss that is not in the books. */
import { expect, test } from 'vitest'
import { parameter, table, tell } from './figures.ts'
import { modes } from './modes.ts'
import { stops, weathers } from './stopping.ts'

const count = parameter('KYMO_FAULTS_STOPS', 6)
const seed = parameter('KYMO_FAULTS_SEED', 9)
const deadline = 1500

test.each(modes)(`ended ${count} times in each state of the destination, queue in %s`, async mode => {
  const { all, account } = await stops(mode, { count, seed, deadline })
  const rows = weathers.map(({ name }) => {
    const mine = all.filter(one => one.weather === name)
    const codes = [...new Set(mine.map(one => one.code))].join(', ')
    const sum = (pick: (one: (typeof mine)[number]) => number) => mine.reduce((total, one) => total + pick(one), 0)
    return [name, mine.length, Math.max(...mine.map(one => one.took)).toFixed(0), codes, sum(one => one.lost)]
  })
  tell(`Ended by SIGTERM, queue in ${mode === 'memory' ? 'memory' : 'storage'}`, [
    `Deadline ${deadline} ms, seed ${seed}. ${account.acknowledged} items acknowledged, ${account.missing} of them never arrived,`,
    `${account.doubledByKymo} arrived more often than they were sent.`,
    '',
    ...table(['the destination is', 'stops', 'longest, ms', 'exit codes', 'said to be lost'], rows),
  ])
  for (const { name, takes } of weathers) {
    const mine = all.filter(one => one.weather === name)
    // A destination that takes is given all of it, and then the exit code says that nothing was lost.
    if (takes || mode === 'durable') expect(mine.map(one => one.code)).toEqual(mine.map(() => 0))
    // A queue in memory says how much it lost, exactly.
    if (mode === 'memory') expect(mine.map(one => one.lost)).toEqual(mine.map(one => one.open))
    if (mode === 'memory' && !takes) expect(mine.map(one => one.code)).toContain(2)
  }
  if (mode === 'durable') expect(account.missing).toBe(0)
})
