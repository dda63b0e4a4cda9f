/** What a change costs: by turns two bundles under the same work and load. usage: see below */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { bundlePath } from './bundle.ts'
import { cases, type Run, runKymo } from './compare.ts'
import { runOnDisk } from './durable.ts'
import { runKymoJson } from './json-gateway.ts'
import { findKit, type Kit } from './kit.ts'
import { endChildrenWithUs, median, program } from './processes.ts'

const usage = `usage: node bench/bundles.ts --before FILE [--after FILE] [--pairs 3] [--cpu-seconds 4] [--cases a,b] [--durable]
cases: ${cases.map(({ name }) => name).join(', ')}
With --durable the queue is on disk (over gRPC). Says the medians of the pairs' ratios; less than 0.97 has to be explained.`

/** One run of one bundle. */
function run(kit: Kit, name: string, bundle: string, cpuSeconds: number, isDurable: boolean): Promise<Run> {
  const which = cases.find(one => one.name === name)
  if (which === undefined) throw new Error(`no case is called \`${name}\`\n${usage}`)
  return (isDurable ? runOnDisk : which.json ? runKymoJson : runKymo)(kit, which, { cpuSeconds, bundle })
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      before: { type: 'string' },
      after: { type: 'string', default: bundlePath },
      pairs: { type: 'string', default: '3' },
      'cpu-seconds': { type: 'string', default: '4' },
      cases: { type: 'string', default: cases.map(({ name }) => name).join(',') },
      durable: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help || values.before === undefined) return console.log(usage)
  endChildrenWithUs()
  const [before, after, kit] = [resolve(values.before), resolve(values.after), findKit()]
  for (const name of values.cases.split(',')) {
    const ratios: number[] = []
    const runs: Run[] = []
    for (let i = 0; i < Number(values.pairs); i++) {
      const one = await run(kit, name, before, Number(values['cpu-seconds']), values.durable)
      const other = await run(kit, name, after, Number(values['cpu-seconds']), values.durable)
      runs.push(one, other)
      ratios.push(other.items_per_cpu_s / one.items_per_cpu_s)
    }
    const failed = runs.reduce((sum, { failed: of }) => sum + of, 0)
    const all = ratios.map(ratio => ratio.toFixed(2)).join(', ')
    const called = values.durable ? `${name}, on disk` : name
    console.log(`${called}: ${median(ratios).toFixed(2)} x the items per CPU second (${all}), ${failed} failed`)
  }
}

if (import.meta.main) await program(main)
