/**
 * What durability costs: by turns the Collector with its queue in memory, Kymo with its queue in memory, and Kymo with its
 * queue on disk, synced before the sender hears success. The same work and load for all. usage: see below
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build, bundlePath } from './bundle.ts'
import { type Case, cases, type Run, runCollector, runKymo, type RunOptions } from './compare.ts'
import { findKit, type Kit, root } from './kit.ts'
import { endChildrenWithUs, median, program } from './processes.ts'

const usage = `usage: node bench/durable.ts [--rounds 5] [--cpu-seconds 4] [--bundle FILE] [--cases traces-gw-grpc,...]
The queue is put below the system's folder for temporary files, or below DURABLE_BENCH_FOLDER: it should be on a disk.`

/** What may be lost to durability, and what is to be left beside the Collector. */
const targets = { ofMemory: 0.65, ofCollector: 2 }

/** One run of the bundle with its queue on disk, in a folder that is gone afterwards. */
export function runOnDisk(kit: Kit, which: Case, options: RunOptions): Promise<Run> {
  const folder = mkdtempSync(join(process.env['DURABLE_BENCH_FOLDER'] ?? tmpdir(), 'kymo-bench-'))
  process.env['STORAGE_DIRECTORY'] = folder
  const config = join(root, 'bench/durable.yaml')
  return runKymo(kit, which, { ...options, config }).finally(() => rmSync(folder, { recursive: true, force: true }))
}

/** Items per CPU second. */
export interface Round {
  readonly collector: number
  readonly memory: number
  readonly durable: number
}

/** Runs all three `rounds` times, one after the other. */
export async function compareDurable(
  kit: Kit,
  name: string,
  { rounds, cpuSeconds, bundle }: { rounds: number; cpuSeconds: number; bundle: string },
): Promise<{ rounds: Round[]; failed: number; peak: number }> {
  const which = cases.find(one => one.name === name)
  if (which === undefined) throw new Error(`no case is called \`${name}\`\n${usage}`)
  const all: Round[] = []
  const runs: Run[] = []
  let peak = 0
  for (let i = 0; i < rounds; i++) {
    const collector = await runCollector(kit, which, { cpuSeconds })
    const memory = await runKymo(kit, which, { cpuSeconds, bundle })
    const durable = await runOnDisk(kit, which, { cpuSeconds, bundle })
    runs.push(collector, memory, durable)
    peak = Math.max(peak, durable.peak_mib)
    const round = {
      collector: collector.items_per_cpu_s,
      memory: memory.items_per_cpu_s,
      durable: durable.items_per_cpu_s,
    }
    console.log(told(round))
    all.push(round)
  }
  return { rounds: all, failed: runs.reduce((sum, run) => sum + run.failed, 0), peak }
}

const thousands = (n: number) => `${Math.round(n / 1000)} k`

function told({ collector, memory, durable }: Round): string {
  const [ofMemory, ofCollector] = [(100 * durable) / memory, durable / collector]
  return (
    `Collector ${thousands(collector)}, in memory ${thousands(memory)}, on disk ${thousands(durable)} items per CPU second: ` +
    `${ofMemory.toFixed(0)} % of memory, ${ofCollector.toFixed(2)} x the Collector`
  )
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      'cpu-seconds': { type: 'string', default: '4' },
      bundle: { type: 'string' },
      cases: { type: 'string', default: 'traces-gw-grpc' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(usage)
  endChildrenWithUs()
  if (values.bundle === undefined) build()
  const bundle = resolve(values.bundle ?? bundlePath)
  const [rounds, cpuSeconds] = [Number(values.rounds), Number(values['cpu-seconds'])]
  for (const name of values.cases.split(',')) {
    const found = await compareDurable(findKit(), name, { rounds, cpuSeconds, bundle })
    const ofMemory = median(found.rounds.map(({ durable, memory }) => durable / memory))
    const ofCollector = median(found.rounds.map(({ durable, collector }) => durable / collector))
    const met = ofMemory >= targets.ofMemory && ofCollector >= targets.ofCollector && found.failed === 0
    console.log(
      `${name}: ${(100 * ofMemory).toFixed(0)} % of memory mode (at least ${100 * targets.ofMemory}), ` +
        `${ofCollector.toFixed(2)} x the Collector in memory (at least ${targets.ofCollector}), ` +
        `peak ${found.peak.toFixed(0)} MiB, ${found.failed} failed: ${met ? 'met' : 'not met'}`,
    )
    if (!met) process.exitCode = 1
  }
}

if (import.meta.main) await program(main)
