/** The quiet day: small requests at a fixed, low rate, as one sidecar or gateway sees them most of the day. */
import { bundlePath, configPath, nodeOptions } from './bundle.ts'
import { collectorBinary } from './compare.ts'
import type { Kit } from './kit.ts'
import { finish, freePorts, median, needPorts, start } from './processes.ts'

/** Requests a second. */
const rates = [400, 40]

/** What the kit's program says of one run. */
interface QuietRun {
  readonly requests: number
  /** Of a core. */
  readonly cpu_percent: number
  readonly idle_mib: number
  readonly rss_mib: number
  /** Requests that the destination got. */
  readonly sent: number
}

/** The medians of one rate. */
export interface QuietFigures {
  readonly rate: number
  readonly collector: QuietRun
  readonly kymo: QuietRun
}

/** How long a run is looked at, in seconds, after it has warmed up; and of which bundle. */
export interface QuietOptions {
  readonly pairs: number
  readonly seconds?: number
  readonly warm?: number
  readonly bundle?: string
}

const collectorPort = 5317

/** Runs pairs at each rate, the Collector and then Kymo. */
export async function measureQuiet(
  kit: Kit,
  { pairs, seconds = 30, warm = 20, bundle = bundlePath }: QuietOptions,
): Promise<QuietFigures[]> {
  const figures: QuietFigures[] = []
  for (const rate of rates) {
    const collector: QuietRun[] = []
    const kymo: QuietRun[] = []
    const span = ['--rate', rate, '--seconds', seconds, '--warm', warm].map(String)
    for (let i = 0; i < pairs; i++) {
      const peer = `GOMAXPROCS=2 '${collectorBinary(kit)}' --config '${kit.peerConfig}'`
      collector.push(await run(kit, ['otelcol', peer, String(collectorPort), ...span], seconds + warm))
      const port = await freePorts()
      const env = `GRPC_PORT=${port} HTTP_PORT=${port + 1} ADMIN_PORT=${await freePorts()}`
      const node = `'${process.execPath}' ${nodeOptions(bundle).join(' ')}`
      const ours = `${env} exec ${node} '${bundle}' run --config '${configPath}'`
      kymo.push(await run(kit, ['kymo', ours, String(port), ...span], seconds + warm))
    }
    figures.push({ rate, collector: middle(collector), kymo: middle(kymo) })
  }
  return figures
}

async function run(kit: Kit, args: readonly string[], seconds: number): Promise<QuietRun> {
  await needPorts(14_317, 14_318, collectorPort, collectorPort + 1)
  const child = start('python3', [kit.quiet, ...args], { COMPRESSION: 'none' })
  const output = await finish(child, `the quiet day of ${args[0]}`, seconds + 60)
  return JSON.parse(output.trim().split('\n').at(-1) ?? '') as QuietRun
}

function middle(runs: readonly QuietRun[]): QuietRun {
  const of = (key: keyof QuietRun) => median(runs.map(one => one[key]))
  return {
    requests: of('requests'),
    cpu_percent: of('cpu_percent'),
    idle_mib: of('idle_mib'),
    rss_mib: of('rss_mib'),
    sent: of('sent'),
  }
}

/** The figures as rows of a table. */
export function quietRows(figures: readonly QuietFigures[]): (readonly (string | number)[])[] {
  return figures.map(({ rate, collector, kymo }) => [
    rate,
    `${kymo.cpu_percent.toFixed(1)} %`,
    `${collector.cpu_percent.toFixed(1)} %`,
    (kymo.cpu_percent / collector.cpu_percent).toFixed(2),
    kymo.rss_mib,
    collector.rss_mib,
    kymo.sent,
    collector.sent,
  ])
}

/** What stands above them. */
export const quietHead = [
  'requests a second',
  'CPU',
  "Collector's",
  'ratio',
  'MiB',
  "Collector's",
  'sent on',
  "Collector's",
] as const
