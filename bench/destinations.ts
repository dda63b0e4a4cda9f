/**
 * What the exporters cost: data points and log records per second of the process's own CPU time, from OTLP/HTTP to a
 * destination that answers at once; beside the Collector's exporter, by turns, where it has one. usage: see below
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build, bundlePath } from './bundle.ts'
import { type DestinationCase, destinationCases } from './destinations-cases.ts'
import { collector, type DestinationRun, kymo, type Program, runDestination, type Seconds } from './destinations-run.ts'
import { findKit, type Kit } from './kit.ts'
import { endChildrenWithUs, median, program } from './processes.ts'
import { buildMapped, type CpuProfile, type Profile, readProfile, type Share } from './profile.ts'
import { writeSection } from './results.ts'

const usage = `usage: node bench/destinations.ts [--cases a,b] [--pairs 3] [--seconds 10] [--warm 5] [--bundle FILE] [--write]
       node bench/destinations.ts --profile CASE [--seconds 10] [--top 20] [--keep FOLDER] [--bundle FILE]
cases: ${destinationCases.map(({ name }) => name).join(', ')}
--write puts the table into bench/RESULTS.md. The Collector is built at first by bench/peer-destinations.sh (PEER_DIR says
where); that needs go.`

/** The medians of one case. */
export interface DestinationRow {
  readonly case: DestinationCase
  readonly kymo: readonly DestinationRun[]
  readonly collector: readonly DestinationRun[]
  readonly ratios: readonly number[]
  readonly met: boolean
}

interface Options extends Seconds {
  readonly pairs: number
  readonly bundle: string
}

/** Runs the pairs of one case: Kymo, the Collector, Kymo, the Collector and so on. */
async function compare(kit: Kit, which: DestinationCase, options: Options): Promise<DestinationRow> {
  const load = which.load(kit)
  const run = async (program: Program) => {
    const found = await runDestination(program, which, load, options)
    console.log(`  ${program.name}: ${told(found)}`)
    return found
  }
  const ours = kymo(options.bundle)
  const peer = 'ratio' in which.target ? collector() : undefined
  const runs: { kymo: DestinationRun[]; collector: DestinationRun[] } = { kymo: [], collector: [] }
  console.log(which.name)
  for (let i = 0; i < options.pairs; i++) {
    runs.kymo.push(await run(ours))
    if (peer !== undefined) runs.collector.push(await run(peer))
  }
  const ratios = runs.collector.map(({ speed }, i) => runs.kymo[i].speed / speed)
  const reached =
    'ratio' in which.target ? median(ratios) >= which.target.ratio : speedOf(runs.kymo) >= which.target.items
  const met = reached && runs.kymo.every(({ wrong }) => wrong === '')
  return { case: which, ...runs, ratios, met }
}

const speedOf = (runs: readonly DestinationRun[]) => median(runs.map(({ speed }) => speed))

const thousands = (n: number) => `${Math.round(n / 1000)} k`

const told = ({ speed, cpu, wall, requests, arrived, labels, bytes, idle, peak, wrong }: DestinationRun): string =>
  `${thousands(speed)} items per CPU second (${requests} requests, ${cpu.toFixed(2)} s of CPU in ${wall.toFixed(1)} s), ` +
  `arrived ${arrived.toFixed(1)} %, ${labels.toFixed(1)} labels or attributes and ${bytes.toFixed(0)} bytes each, ` +
  `idle ${idle.toFixed(0)} MiB, peak ${peak.toFixed(0)} MiB${wrong === '' ? '' : `; WRONG: ${wrong}`}`

function cells({ case: which, kymo, collector, ratios, met }: DestinationRow): string[] {
  const peak = (runs: readonly DestinationRun[]) =>
    runs.length === 0 ? '' : Math.max(...runs.map(run => run.peak)).toFixed(0)
  const bytes = (runs: readonly DestinationRun[]) =>
    runs.length === 0 ? '' : median(runs.map(run => run.bytes)).toFixed(0)
  const ratio =
    ratios.length === 0
      ? ''
      : `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`
  const wrong = kymo.find(run => run.wrong !== '')?.wrong
  return [
    which.text,
    collector.length === 0 ? '' : thousands(speedOf(collector)),
    thousands(speedOf(kymo)),
    ratio,
    'ratio' in which.target ? String(which.target.ratio) : thousands(which.target.items),
    wrong === undefined ? (met ? 'yes' : 'no') : wrong,
    `${median(kymo.map(run => run.arrived)).toFixed(1)} %`,
    peak(kymo),
    peak(collector),
    bytes(kymo),
    bytes(collector),
  ]
}

/** The figures as a table. */
export function destinationsTable(rows: readonly DestinationRow[]): string {
  const head = ['exporter', 'Collector', 'Kymo', 'ratio', 'target', 'met', 'arrived', 'peak MiB', "Collector's peak"]
  const lines = [[...head, 'bytes out per item', "Collector's"], ...rows.map(cells)].map(
    row => `| ${row.join(' | ')} |`,
  )
  lines.splice(1, 0, `|${'---|'.repeat(head.length + 2)}`)
  return lines.join('\n')
}

const percent = (share: number) => `${share.toFixed(1)} %`

/** What of the CPU time the widest frames of each case take. */
function framesTable(profiles: readonly (readonly [DestinationCase, Profile])[]): string {
  const lines = profiles.map(([{ text }, { frames }]) => {
    const widest = frames.slice(0, 3).map(({ name, share }) => `${percent(share)} \`${name}\``)
    return `| ${text} | ${widest.join(', ')} |`
  })
  return ['| exporter | the three widest frames of a V8 profile |', '|---|---|', ...lines].join('\n')
}

function sectionText(rows: readonly DestinationRow[], frames: string, { pairs, measured }: Options): string {
  return `\`node bench/destinations.ts --write\` on ${new Date().toISOString().slice(0, 10)}: items (data points, log records) per second of the
process's own CPU time, from OTLP/HTTP over memory limit and batch to a destination that answers at once. Medians of
${pairs} ${pairs === 1 ? 'run' : 'runs'} of ${measured} s each, Kymo and the Collector by turns. Eight senders; times and values are new in each request, so that
nothing can be answered from what was there. What arrived is decoded and counted; on the page the last value of each
series is compared with what was sent last.

${destinationsTable(rows)}

${frames}`
}

interface ProfileOptions extends Seconds {
  readonly bundle?: string | undefined
  readonly keep?: string | undefined
}

/** A CPU profile of Kymo under the load of a case. */
async function profile(kit: Kit, which: DestinationCase, { keep, ...options }: ProfileOptions): Promise<Profile> {
  const bundle = options.bundle ?? (await buildMapped())
  const folder = keep ?? mkdtempSync(join(tmpdir(), 'kymo-profile-'))
  const before = new Set(readdirSync(folder))
  try {
    const program = kymo(bundle, ['--cpu-prof', '--cpu-prof-interval', '500', '--cpu-prof-dir', folder])
    console.log(told(await runDestination(program, which, which.load(kit), options)))
    const [file] = readdirSync(folder).filter(name => name.endsWith('.cpuprofile') && !before.has(name))
    if (file === undefined) throw new Error('Node wrote no profile; did kymo end by itself?')
    // All of it but the first seconds, in which nothing is hot yet; idle time does not count.
    const text = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile
    const from = text.startTime + 1_000_000 * (1 + options.warm)
    return readProfile(text, bundle, { from, to: Number.MAX_SAFE_INTEGER })
  } finally {
    if (keep === undefined) rmSync(folder, { recursive: true })
  }
}

function caseOf(name: string): DestinationCase {
  const found = destinationCases.find(one => one.name === name)
  if (found === undefined) throw new Error(`no case is called \`${name}\`\n${usage}`)
  return found
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string' },
      pairs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '10' },
      warm: { type: 'string', default: '5' },
      bundle: { type: 'string' },
      write: { type: 'boolean', default: false },
      profile: { type: 'string' },
      top: { type: 'string', default: '20' },
      keep: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(usage)
  endChildrenWithUs()
  const kit = findKit()
  const seconds = { warm: Number(values.warm), measured: Number(values.seconds) }
  if (values.profile !== undefined) {
    const keep = values.keep === undefined ? undefined : resolve(values.keep)
    const bundle = values.bundle === undefined ? undefined : resolve(values.bundle)
    const { frames, places } = await profile(kit, caseOf(values.profile), { ...seconds, bundle, keep })
    const print = ({ name, share }: Share) => console.log(`${percent(share).padStart(7)}  ${name}`)
    places.slice(0, 8).forEach(print)
    console.log('')
    return frames.slice(0, Number(values.top)).forEach(print)
  }
  const chosen = values.cases?.split(',').map(caseOf) ?? destinationCases
  if (values.bundle === undefined) build()
  const options = { ...seconds, pairs: Number(values.pairs), bundle: resolve(values.bundle ?? bundlePath) }
  const rows: DestinationRow[] = []
  for (const which of chosen) rows.push(await compare(kit, which, options))
  console.log(`\n${destinationsTable(rows)}`)
  if (values.write) {
    const profiles: [DestinationCase, Profile][] = []
    for (const which of chosen) profiles.push([which, await profile(kit, which, { ...seconds })])
    writeSection('destinations', sectionText(rows, framesTable(profiles), options))
  }
  if (rows.some(({ met }) => !met)) process.exitCode = 1
}

await program(main)
