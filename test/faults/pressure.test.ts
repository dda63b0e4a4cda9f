/** Too little memory for what comes: senders are refused as they should be, and nothing that was acknowledged is lost. */
import { expect, test } from 'vitest'
import { parameter, tell } from './figures.ts'
import { modes } from './modes.ts'
import { pressure } from './pressure.ts'

const seconds = parameter('KYMO_FAULTS_SECONDS', 300)

test.each(modes)(`160 MiB for ${seconds} s, queue in %s: alive, refusing, complete`, async mode => {
  const lines = await pressure(mode, { seconds, mib: 160, rate: 20_000 })
  tell(`160 MiB at twice the rate, queue in ${mode === 'memory' ? 'memory' : 'storage'}`, lines)
  expect(lines.length).toBeGreaterThan(0)
})
