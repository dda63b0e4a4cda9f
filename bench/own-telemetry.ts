/** What Kymo's own logs, metrics and traces cost: traces-gw over gRPC with and without them, in pairs. */
import { ownPath } from './bundle.ts'
import { cases, type CompareOptions, runKymo } from './compare.ts'
import type { Kit } from './kit.ts'
import { median } from './processes.ts'

/** The name of the case. */
export const ownCase = 'own-telemetry'

/** Per cent of CPU time that own telemetry may take. */
const limit = 3

/** Of each pair, how much more CPU time an item took with own telemetry on; per cent. */
export interface OwnFigures {
  readonly costs: readonly number[]
  /** Items per CPU second, at the median. */
  readonly off: number
  readonly on: number
  readonly failed: number
}

/** Runs the pairs; at least five, because what is measured is small. */
export async function compareOwn(kit: Kit, options: CompareOptions): Promise<OwnFigures> {
  const off: number[] = []
  const on: number[] = []
  let failed = 0
  const one = async (into: number[], more: { config?: string }) => {
    const run = await runKymo(kit, cases[0], { ...options, ...more })
    failed += run.failed
    into.push(run.items_per_cpu_s)
  }
  for (let i = 0; i < Math.max(5, options.pairs); i++) {
    // In turns which is first, so that a machine that grows slower harms both alike.
    if (i % 2 === 0) await one(off, {})
    await one(on, { config: ownPath })
    if (i % 2 === 1) await one(off, {})
  }
  return { costs: off.map((rate, i) => 100 * (rate / on[i] - 1)), off: median(off), on: median(on), failed }
}

/** The figures as a sentence. */
export function ownText({ costs, off, on, failed }: OwnFigures): string {
  const cost = median(costs)
  const all = costs.map(one => one.toFixed(1)).join(', ')
  const rates = `${Math.round(off / 1000)} k items per CPU second without and ${Math.round(on / 1000)} k with it`
  return (
    `Own logs, metrics (every ten seconds) and spans, exported by pipelines of their own, take ${cost.toFixed(1)} % more ` +
    `CPU time per item (median of the pairs ${all}; limit ${limit}: ${cost < limit && failed === 0 ? 'met' : 'not met'}): ${rates}, ${failed} failed.`
  )
}
