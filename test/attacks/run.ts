/**
 * The attacks: `npm run test:attacks -- [--only TEXT] [--tries N] [--bundle PATH] [--write] [--list]`. Every row has a
 * victim of its own: the bundle as it ships, with healthy senders beside the attacker. `--write` keeps the table in RESULTS.md.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { endChildrenWithUs } from '../../bench/processes.ts'
import { scratch } from '../faults/kymo.ts'
import { buildTo } from '../support/bundle.ts'
import type { Attack } from './attack.ts'
import { line, report } from './report.ts'
import { Scene, startSink, type Suffered } from './scene.ts'
import { attacks } from './table.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    tries: { type: 'string', default: '2' },
    bundle: { type: 'string' },
    write: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
})

const wanted = attacks.filter(
  ({ name, of }) => values.only === undefined || values.only.some(text => of === text || name.includes(text)),
)

/** The better of a few tries, where only time was at fault: that can be the machine's. */
async function tried(attack: Attack, bundle: string, sink: number): Promise<Suffered> {
  for (let left = Number(values.tries); ; left--) {
    const scene = await Scene.set(attack.victim ?? 'gateway', bundle, sink)
    try {
      const suffered = await scene.suffer(attack)
      if (left <= 1 || suffered.faults.length === 0 || !suffered.onlyTime) return suffered
    } finally {
      await scene.close()
    }
  }
}

async function main(): Promise<number> {
  if (values.list) {
    for (const { of, name } of wanted) console.log(`${of.padEnd(5)} ${name}`)
    return 0
  }
  endChildrenWithUs()
  const folder = scratch('attacks')
  const bundle = values.bundle ?? join(folder, 'kymo.mjs')
  if (values.bundle === undefined) buildTo(bundle)
  const sink = await startSink()
  const all: Suffered[] = []
  try {
    for (const attack of wanted) {
      let suffered: Suffered
      try {
        suffered = await tried(attack, bundle, sink.port)
      } catch (error) {
        console.log(`FAILS ${attack.of} ${attack.name}: ${String(error)}`)
        process.exitCode = 1
        continue
      }
      all.push(suffered)
      console.log(line(suffered))
    }
  } finally {
    await sink.close()
    rmSync(folder, { recursive: true, force: true })
  }
  const failed = all.filter(({ faults }) => faults.length > 0)
  console.log(`${all.length} attacks, ${failed.length} with faults`)
  if (values.write) writeFileSync(join(import.meta.dirname, 'RESULTS.md'), report(all))
  return Math.max(Number(process.exitCode ?? 0), failed.length > 0 ? 1 : 0)
}

process.exitCode = await main()
