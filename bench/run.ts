/** `npm run bench`: the whole suite. With options that leave parts out it only prints; else it writes bench/RESULTS.md. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build, measureStart } from './bundle.ts'
import { cases, checkWork, compare, type CompareOptions, type Row } from './compare.ts'
import { appendHistory } from './history.ts'
import { findKit, type Kit } from './kit.ts'
import { measureLatency } from './latency.ts'
import { measureOwn, ownCase, type OwnFigures, ownText } from './own-telemetry.ts'
import { endChildrenWithUs, program } from './processes.ts'
import { profileUnderLoad } from './profile.ts'
import { measureQuiet, quietHead, quietRows } from './quiet.ts'
import { comparisonTable, table, writeResults } from './results.ts'

const quietCase = 'quiet'
const names = [...cases.map(({ name }) => name), ownCase, quietCase]
const usage = `usage: npm run bench -- [--pairs 3] [--cases a,b] [--cpu-seconds 4] [--bundle FILE] [--only-pairs] [--keep]
cases: ${names.join(', ')}
With --keep a line with what was measured is added to bench/history.jsonl; the whole suite always adds one.
The comparison's kit is looked for in ../shared/bench, or where KYMO_BENCH_KIT says. Needs h2load, ss, python3 and go.`

function readOptions() {
  const { values } = parseArgs({
    options: {
      pairs: { type: 'string', default: '3' },
      cases: { type: 'string' },
      'cpu-seconds': { type: 'string', default: '4' },
      bundle: { type: 'string' },
      'only-pairs': { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const chosen = values.cases?.split(',')
  const unknown = chosen?.filter(name => !names.includes(name)) ?? []
  if (unknown.length > 0) throw new Error(`no case is called \`${unknown.join('`, `')}\`\n${usage}`)
  return { ...values, has: (name: string) => chosen?.includes(name) ?? true, chosen }
}

/** The pairs of each case that is wanted. */
async function compareAll(kit: Kit, has: (name: string) => boolean, options: CompareOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const which of cases.filter(({ name }) => has(name))) {
    const row = await compare(kit, which, options)
    rows.push(row)
    const { ratio, ratios, idle, peak } = row
    const all = ratios.map(value => value.toFixed(2)).join(', ')
    console.log(`${which.name}: ${ratio.toFixed(2)} of ${which.target} (${all}), idle ${idle} MiB, peak ${peak} MiB`)
  }
  return rows
}

async function main(): Promise<void> {
  const { has, chosen, ...values } = readOptions()
  if (values.help) return console.log(usage)
  endChildrenWithUs()
  const kit = findKit()
  const given = values.bundle === undefined ? {} : { bundle: resolve(values.bundle) }
  if (values.bundle === undefined) build()
  const options = { pairs: Number(values.pairs), cpuSeconds: Number(values['cpu-seconds']), ...given }

  const work = await checkWork(kit, given.bundle)
  console.log(work)
  const rows = await compareAll(kit, has, options)
  let own: OwnFigures | undefined
  if (has(ownCase)) {
    own = await measureOwn(kit)
    console.log(ownText(own))
  }
  const quiet = has(quietCase) ? await measureQuiet(kit, options) : undefined
  if (rows.length > 0) console.log(`\n${comparisonTable(rows)}\n`)
  if (quiet !== undefined) console.log(`\n${table(quietHead, quietRows(quiet))}\n`)
  if (chosen !== undefined || own === undefined || quiet === undefined || values['only-pairs']) {
    if (values.keep) appendHistory({ rows, quiet })
    return
  }

  const start = await measureStart(5, given.bundle)
  console.log(`start to ready ${start.ready.toFixed(0)} ms, idle ${start.idle.toFixed(0)} MiB`)
  const waits = await measureLatency(kit, 600, given.bundle)
  const profile = await profileUnderLoad(kit, { payload: 'traces-gw', seconds: 8, ...given })
  writeResults({ rows, pairs: options.pairs, work, own, quiet, start, waits, profile })
  appendHistory({ rows, quiet, start })
  console.log('bench/RESULTS.md is written, and a line of bench/history.jsonl')
}

await program(main)
