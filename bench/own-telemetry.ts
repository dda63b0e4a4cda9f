/** What Kymo's own logs, metrics and traces cost, by a profile under a load that is the same whatever they cost. */
import { ownPath } from './bundle.ts'
import type { Kit } from './kit.ts'
import { median } from './processes.ts'
import { profileUnderLoad } from './profile.ts'

/** The name of the case. */
export const ownCase = 'own-telemetry'

/** Per cent of CPU time that own telemetry may take. */
const limit = 3
/** Requests of traces-gw a second: some two hundred thousand spans, a tenth of a core. */
const rate = 200
const seconds = 30
const profiles = 3

/** Where it is made; what its pipelines send is sent by code that all pipelines share. */
const made = / (?:telemetry\/|receivers\/internal)/

/** Its share of the CPU time in each profile, in per cent. */
export interface OwnFigures {
  readonly shares: readonly number[]
}

/** Takes the profiles. */
export async function measureOwn(kit: Kit): Promise<OwnFigures> {
  const shares: number[] = []
  for (let i = 0; i < profiles; i++) {
    const options = { payload: 'traces-gw', config: ownPath, seconds, rate, within: made }
    shares.push((await profileUnderLoad(kit, options)).within)
  }
  return { shares }
}

/** The figures as a sentence. */
export function ownText({ shares }: OwnFigures): string {
  const share = median(shares)
  return (
    `At ${rate} requests of traces-gw a second, own logs, metrics (every ten seconds) and spans take ${share.toFixed(1)} % of the CPU time ` +
    `(limit ${limit}: ${share < limit ? 'met' : 'not met'}; at the median of profiles: ${shares.map(one => one.toFixed(1)).join(', ')}); sending them is not told apart.`
  )
}
