/** The page RESULTS.md: tables that are made anew with each run, and sections that are kept. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import type { StartFigures } from './bundle.ts'
import type { Row } from './compare.ts'
import { root } from './kit.ts'
import type { Wait } from './latency.ts'
import { type OwnFigures, ownText } from './own-telemetry.ts'
import type { Profile } from './profile.ts'
import { type QuietFigures, quietHead, quietRows } from './quiet.ts'

const page = join(root, 'bench/RESULTS.md')

/** Sections that other hands or programs write, with what stands there before they do. */
const kept = {
  explained: 'Not explained yet.',
  soak: 'Not measured yet: `node bench/soak.ts --write`.',
  micro: 'Not measured yet.',
  destinations: 'Not measured yet: `node bench/destinations.ts --write`.',
}

/** All that one run of the suite finds out. */
export interface Results {
  readonly rows: readonly Row[]
  readonly pairs: number
  readonly work: string
  readonly own: OwnFigures
  readonly quiet: readonly QuietFigures[]
  readonly start: StartFigures
  readonly waits: readonly Wait[]
  readonly profile: Profile
}

const read = () => (existsSync(page) ? readFileSync(page, 'utf8') : '')

/** Replaces one kept section of the page. */
export function writeSection(name: keyof typeof kept, text: string): void {
  const before = read()
  if (!before.includes(`<!-- ${name} -->`))
    throw new Error('bench/RESULTS.md is not there yet; run `npm run bench` first')
  const [head, rest] = before.split(`<!-- ${name} -->`)
  writeFileSync(page, `${head}${section(name, text)}${rest.split(`<!-- /${name} -->`)[1]}`)
}

const section = (name: string, text: string) => `<!-- ${name} -->\n\n${text.trim()}\n\n<!-- /${name} -->`

function keep(name: keyof typeof kept): string {
  const text = read().split(`<!-- ${name} -->`)[1]?.split(`<!-- /${name} -->`)[0]
  return section(name, text ?? kept[name])
}

/** The comparison as a table. */
export function comparisonTable(rows: readonly Row[]): string {
  const lines = rows.map(row => {
    const { case: which, ratio, ratios, idle, peak, collectorPeak, collector, kymo, bytes, failed } = row
    const what = loadText(which)
    const spread = `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`
    const verdict = failed > 0 ? `${failed} failed` : ratio >= which.target ? 'yes' : 'no'
    const cells = [
      what,
      thousands(collector),
      thousands(kymo),
      `${ratio.toFixed(2)} (${spread})`,
      which.target,
      verdict,
    ]
    return [...cells, idle, peak, collectorPeak, bytes.kymo, bytes.collector]
  })
  const head = ['load', 'Collector', 'Kymo', 'ratio', 'target', 'met', 'idle MiB', 'peak MiB', "Collector's peak"]
  return table([...head, 'bytes out per request', "Collector's"], lines)
}

const loadText = ({ payload, http, gzip, json, attributes }: Row['case']): string =>
  `${payload}${json ? ' as JSON' : ''}, ${http ? 'HTTP' : 'gRPC'}${gzip ? ', gzip in and out' : ''}` +
  (attributes ? ', and an attribute deleted and one inserted on every item' : '')

const thousands = (n: number) => `${Math.round(n / 1000)} k`

/** A table of the page. */
export function table(head: readonly string[], lines: readonly (readonly (string | number)[])[]): string {
  const row = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
  return [row(head), `|${'---|'.repeat(head.length)}`, ...lines.map(row)].join('\n')
}

function shares(list: Profile['frames']): string {
  return table(
    ['share', 'frame'],
    list.map(({ name, share }) => [`${share.toFixed(1)} %`, `\`${name}\``]),
  )
}

/** Writes the page. */
export function writeResults({ rows, pairs, work, own, quiet, start, waits, profile }: Results): void {
  const [cpu] = cpus()
  const text = `# Results

Made by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}),
Node ${process.version}, ${process.platform} ${process.arch}. All figures are of the bundle (\`npm run build\`),
run with the options of Node in its first line.

## Items per CPU second, beside the OpenTelemetry Collector

Memory limit, drop three system namespaces, add three resource attributes, batch, send over gRPC. Items per second of the
process's own CPU time; metrics are counted in metrics. Medians of ${pairs} ${pairs === 1 ? 'pair' : 'pairs'} of runs, one after the other; only ratios
mean something beyond this machine. Check of the work: ${work}.

${comparisonTable(rows)}

Idle and peak are resident memory (to be met: 65 MiB, and 220; where every item is edited 260).

## The quiet day

Requests of ten spans at a fixed, low rate: CPU time as a share of a core, resident memory at the end, and how many requests the
destination got meanwhile. Medians of ${pairs} ${pairs === 1 ? 'pair' : 'pairs'}. To be met: at most 0.6 of the Collector's CPU, 90 MiB, and 1.2 times
the requests that it sends on.

${table(quietHead, quietRows(quiet))}

## Destinations

${keep('destinations')}

## Own telemetry

${ownText(own)}

## Start

${start.ready.toFixed(0)} ms from start to ready (median of five, longest ${start.longest.toFixed(0)} ms; to be met: 250 ms), then
${start.idle.toFixed(0)} MiB resident.

## A lone sender

One request at a time, milliseconds until the answer (to be met: 2 at the median). \`accepted\` is the answer once queued, as
configured; \`delivered\` is with \`wait_for_result: true\`, so it holds the batch step and the destination's answer.

${table(
  ['protocol', 'payload', 'answer', 'median ms', 'p99 ms'],
  waits.map(wait => [wait.protocol, wait.payload, wait.answer, wait.median.toFixed(2), wait.p99.toFixed(2)]),
)}

## Memory over time

${keep('soak')}

## Where the time goes

Self time under traces-gw over gRPC, in per cent of the CPU time (idle left out). \`(program)\` is native code that V8 cannot
name: system calls, copying.

${shares(profile.places.filter(({ share }) => share >= 0.3))}

The widest frames:

${shares(profile.frames.slice(0, 30))}

## What explains it

${keep('explained')}

## Micro-benchmarks

${keep('micro')}
`
  writeFileSync(page, text)
}
