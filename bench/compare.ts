/** The comparison: pairs of runs, the Collector and then Kymo, of the same work on the same machine. */
import { execFileSync } from 'node:child_process'
import { attributesPath, bundlePath, configPath, nodeOptions } from './bundle.ts'
import { runCollectorJson, runKymoJson } from './json-gateway.ts'
import type { Kit } from './kit.ts'
import { finish, freePorts, median, needPorts, start } from './processes.ts'

/** One kind of load. */
export interface Case {
  readonly name: string
  readonly payload: string
  /** How many times the Collector's items per CPU second are asked for. */
  readonly target: number
  readonly http?: true
  readonly gzip?: true
  /** As OTLP/JSON; over HTTP. */
  readonly json?: true
  /** On every item one attribute deleted and one inserted besides. */
  readonly attributes?: true
}

/** All of them. */
export const cases: readonly Case[] = [
  { name: 'traces-gw-grpc', payload: 'traces-gw', target: 6 },
  { name: 'traces-sdk-grpc', payload: 'traces-sdk', target: 6 },
  { name: 'logs-gw-grpc', payload: 'logs-gw', target: 5 },
  { name: 'metrics-gw-grpc', payload: 'metrics-gw', target: 6 },
  { name: 'traces-gw-http', payload: 'traces-gw', target: 7.5, http: true },
  { name: 'traces-tiny-grpc', payload: 'traces-tiny', target: 3 },
  { name: 'traces-tiny-http', payload: 'traces-tiny', target: 3, http: true },
  { name: 'traces-gw-gzip', payload: 'traces-gw', target: 5.5, gzip: true },
  { name: 'traces-gw-attributes', payload: 'traces-gw', target: 3, attributes: true },
  { name: 'traces-gw-json', payload: 'traces-gw', target: 2.5, http: true, json: true },
]

/** What the measuring program says of one run. */
export interface Run {
  readonly ok: number
  readonly failed: number
  readonly items_per_cpu_s: number
  readonly idle_mib: number
  readonly peak_mib: number
  readonly sink: { readonly requests: number; readonly bytes: number; readonly items: number }
}

/** How long a run measures, and of which bundle. */
export interface RunOptions {
  readonly cpuSeconds: number
  readonly bundle?: string
}

/** How to compare. */
export interface CompareOptions extends RunOptions {
  readonly pairs: number
}

/** The medians of one case. */
export interface Row {
  readonly case: Case
  readonly collector: number
  readonly kymo: number
  /** Median of the pairs' ratios, and all of them. */
  readonly ratio: number
  readonly ratios: readonly number[]
  readonly idle: number
  readonly peak: number
  readonly collectorPeak: number
  /** Bytes that reached the sink for each request, from both. */
  readonly bytes: { readonly collector: number; readonly kymo: number }
  readonly failed: number
}

const collectorPort = 5317

/** Runs the pairs of one case. */
export async function compare(kit: Kit, which: Case, options: CompareOptions): Promise<Row> {
  const collector: Run[] = []
  const kymo: Run[] = []
  for (let i = 0; i < options.pairs; i++) {
    collector.push(await (which.json ? runCollectorJson : runCollector)(kit, which, options))
    kymo.push(await (which.json ? runKymoJson : runKymo)(kit, which, options))
  }
  const speed = (runs: readonly Run[]) => median(runs.map(run => run.items_per_cpu_s))
  const ratios = kymo.map((run, i) => run.items_per_cpu_s / collector[i].items_per_cpu_s)
  return {
    case: which,
    collector: speed(collector),
    kymo: speed(kymo),
    ratio: median(ratios),
    ratios,
    idle: median(kymo.map(run => run.idle_mib)),
    peak: Math.max(...kymo.map(run => run.peak_mib)),
    collectorPeak: Math.max(...collector.map(run => run.peak_mib)),
    bytes: { collector: bytesEach(collector), kymo: bytesEach(kymo) },
    failed: [...collector, ...kymo].reduce((sum, run) => sum + run.failed, 0),
  }
}

const bytesEach = (runs: readonly Run[]) => Math.round(median(runs.map(run => run.sink.bytes / Math.max(1, run.ok))))

/** The Collector, built when it is not there yet. */
export function collectorBinary(kit: Kit): string {
  return execFileSync(kit.peer, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] }).trim()
}

/** One run of the Collector. */
export function runCollector(kit: Kit, which: Case, { cpuSeconds }: RunOptions): Promise<Run> {
  const config = which.attributes ? kit.peerAttributes : kit.peerConfig
  const command = `GOMAXPROCS=2 '${collectorBinary(kit)}' --config '${config}'`
  return measure(kit, ['otelcol', command, String(collectorPort)], which, cpuSeconds, false)
}

/** What may differ from the case: whether the sink counts items, and the configuration. */
export interface KymoRun extends RunOptions {
  readonly items?: boolean
  readonly config?: string
}

/** One run of the bundle. */
export async function runKymo(
  kit: Kit,
  which: Case,
  { cpuSeconds, bundle = bundlePath, items = false, config = which.attributes ? attributesPath : configPath }: KymoRun,
): Promise<Run> {
  const port = await freePorts()
  const ports = `GRPC_PORT=${port} HTTP_PORT=${port + 1} ADMIN_PORT=${await freePorts()}`
  const node = `'${process.execPath}' ${nodeOptions(bundle).join(' ')}`
  const command = `${ports} exec ${node} '${bundle}' run --config '${config}'`
  return measure(kit, ['kymo', command, String(port)], which, cpuSeconds, items)
}

async function measure(kit: Kit, what: string[], which: Case, cpuSeconds: number, items: boolean): Promise<Run> {
  await needPorts(14_317, 14_318, collectorPort, collectorPort + 1)
  const args = [kit.measure, ...what, '--payload', which.payload, '--cpu-seconds', String(cpuSeconds)]
  if (which.http) args.push('--http')
  if (which.gzip) args.push('--gzip')
  if (items) args.push('--items')
  const child = start('python3', args, { COMPRESSION: which.gzip ? 'gzip' : 'none' })
  const output = await finish(child, `the run of ${what[0]} (${which.name})`, 240)
  const lines = output.trim().split('\n')
  // The last line is what bench.py prints for programs.
  return JSON.parse(lines[lines.length - 1]) as Run
}

/** What the main case must bring for each request of 1,000 spans. */
const expected = { items: 700, bytes: 304_193 }

/** Checks that Kymo does the work that is compared: the right items, byte for byte as many. */
export async function checkWork(kit: Kit, bundle: string = bundlePath): Promise<string> {
  const { ok, failed, sink } = await runKymo(kit, cases[0], { cpuSeconds: 0.5, bundle, items: true })
  const items = sink.items / ok
  const bytes = sink.bytes / ok
  const text = `${ok} requests of 1,000 spans: ${items} spans in ${bytes} bytes arrived of each, ${failed} failed`
  if (items === expected.items && bytes === expected.bytes && failed === 0) return text
  throw new Error(`the work is not that of the comparison (${expected.items} in ${expected.bytes}): ${text}`)
}
