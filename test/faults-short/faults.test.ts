/** The short form of `npm run test:faults`: a real process and a bit of each kind of fault. */
import { describe, expect, test } from 'vitest'
import { crash } from '../faults/crash.ts'
import { suffer } from '../faults/hostile.ts'
import { faults } from '../faults/hostile-table.ts'
import { pressure } from '../faults/pressure.ts'
import { stops } from '../faults/stopping.ts'

const tried = [
  'takes the data, then resets',
  'takes nine of ten items (partial success)',
  'takes no more than four items at once (413)',
  'rejects merged batches with one poisonous item',
]
const some = faults.filter(({ name }) => tried.includes(name))

describe.concurrent.each(['memory', 'durable'] as const)('with queues in %s', mode => {
  test.each(some)('the destination $name', async fault => {
    await suffer(fault, fault.name.includes('413') ? 'http' : 'grpc', mode)
  })
})

test('killed twice, a queue on disk loses nothing', async () => {
  const { account } = await crash({ mode: 'durable', count: 2, seed: 3, life: 500 })
  expect(account).toMatchObject({ missing: 0 })
}, 60_000)

test('ended once in each state of its destination, a queue on disk loses nothing', async () => {
  const { account, all } = await stops('durable', { count: 1, seed: 4, deadline: 300 })
  expect(account).toMatchObject({ missing: 0 })
  expect(all.map(one => one.code)).toEqual(all.map(() => 0))
}, 60_000)

test('with 160 MiB and twice what the destination takes: alive, refusing, complete', async () => {
  await pressure('memory', { seconds: 6, mib: 160, rate: 10_000 })
}, 60_000)
