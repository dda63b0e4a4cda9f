/** Reloads under senders that have a connection for each request, beside some whose connections last. */
import { expect, test } from 'vitest'
import { parameter, tell } from './figures.ts'
import { reloadLines, reloads } from './reloads.ts'

test('50 reloads under 56 fresh connections a second: no call is reset, no connection refused, nothing is lost or doubled', async () => {
  const count = parameter('KYMO_FAULTS_RELOADS', 50)
  const ending = await reloads({ reloads: count, rate: 20, fresh: 14, pause: 200 })
  tell(`${count} reloads under fresh connections`, reloadLines(ending))
  expect(ending).toMatchObject({
    account: { missing: 0, doubledByKymo: 0, strangers: 0, harmed: 0 },
    heard: { unreached: 0, unknown: 0, rejected: 0 },
    fresh: { unreached: 0, unknown: 0, rejected: 0 },
    unexpected: [],
    faults: [],
    lost: 0,
    exit: 0,
  })
  expect(ending.fresh['success']).toBeGreaterThan(count)
})
