/** Reloads under light load, in a process of its own. The long form is `node test/faults/reloads.ts`. */
import { expect, test } from 'vitest'
import { reloads } from '../faults/reloads.ts'

test('40 reloads of every kind: no connection is refused, no call of a new one is reset, nothing is lost, nothing is sent twice, the books balance', async () => {
  const ending = await reloads({ reloads: 40, rate: 40, fresh: 14, pause: 10 })
  expect(ending).toMatchObject({
    account: { missing: 0, doubledByKymo: 0, strangers: 0, harmed: 0 },
    heard: { unreached: 0, unknown: 0, rejected: 0 },
    fresh: { unreached: 0, unknown: 0, rejected: 0 },
    unexpected: [],
    faults: [],
    lost: 0,
    exit: 0,
  })
  expect(ending.account.acknowledged).toBeGreaterThan(100)
  expect(ending.fresh['success']).toBeGreaterThan(20)
  expect(Object.keys(ending.results).toSorted()).toEqual(
    expect.arrayContaining([
      'exporter applied',
      'receiver applied',
      'tls applied',
      'unstartable failed',
      'wrong failed',
    ]),
  )
}, 60_000)
