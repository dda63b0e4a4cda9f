/** `kill -9` at any moment: what was acknowledged arrives. */
import { expect, test } from 'vitest'
import { quantile } from './senders.ts'
import { crash } from './crash.ts'
import { parameter, tell } from './figures.ts'
import { durable } from './modes.ts'

const count = parameter('KYMO_FAULTS_KILLS', 50)
const seed = parameter('KYMO_FAULTS_SEED', 20)

test('queues in memory lose what they hold when they are killed: losses do not escape this test', async () => {
  const { account } = await crash({ mode: 'memory', count: 3, seed })
  expect(account.missing).toBeGreaterThan(0)
})

test.skipIf(!durable)(`killed ${count} times, queues on disk lose nothing`, async () => {
  const ending = await crash({ mode: 'durable', count, seed })
  const { account, ready, recovered, open, refused, unknown, seconds, compared } = ending
  const sum = (all: readonly number[]) => all.reduce((a, b) => a + b, 0)
  tell(`Killed ${count} times`, [
    `Four senders (traces and logs, gRPC and HTTP), seed ${seed}, ${seconds.toFixed(0)} s: ${account.items} items sent,`,
    `${account.acknowledged} acknowledged, of which **${account.missing}** are missing; ${sum(open)} of them were acknowledged and not`,
    `yet at the destination when the plug was pulled, ${sum(recovered)} items were found on disk at the starts.`,
    `Arrived more than once: ${account.doubled} items, ${account.doubledByKymo} of them more often than their sender sent them.`,
    `Requests refused: ${refused}, without an answer: ${unknown}. From start to ready: median ${quantile(ready, 0.5).toFixed(0)} ms,`,
    `longest ${Math.max(...ready).toFixed(0)} ms.`,
    '',
    ...compared,
  ])
  expect(account).toMatchObject({ missing: 0 })
  for (const [i, items] of open.entries()) expect(recovered[i]).toBeGreaterThanOrEqual(items)
})
