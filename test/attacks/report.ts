/** What the attacks came to, as lines and as a page. */
import { availableParallelism } from 'node:os'
import { table } from '../faults/figures.ts'
import { goneWithin, limitMib, longestBlock, nearCalm, slowestHealthy } from './limits.ts'
import type { Suffered } from './scene.ts'

const round = (n: number | undefined, digits = 0): string => (n === undefined ? '-' : n.toFixed(digits))

/** One attack in a line, and what is wrong below it. */
export function line({ name, of, faults, peak, block, calm, healthy, gone, heard, took }: Suffered): string {
  const figures = [
    `${round(peak)} MiB`,
    `block ${round(block.computed)} of ${round(block.elapsed)} ms`,
    `p99 ${round(healthy.p99)} (${round(calm)}) ms`,
    `gone ${round(gone, 1)} s`,
    `${round(took, 1)} s`,
  ].join(', ')
  const answers = Object.entries(heard)
    .toSorted((a, b) => b[1] - a[1])
    .slice(0, 4)
    .map(([what, times]) => `${times} x ${what}`)
  const told = answers.length === 0 ? '' : `; heard ${answers.join(', ')}`
  return [
    `${faults.length === 0 ? 'holds' : 'FAILS'} ${of} ${name}: ${figures}${told}`,
    ...faults.map(one => `      ${one}`),
  ].join('\n')
}

/** The page. */
export function report(all: readonly Suffered[]): string {
  const now = new Date().toISOString()
  const failed = all.filter(({ faults }) => faults.length > 0)
  const rows = all.map(({ name, of, faults, peak, block, calm, healthy, gone }) => [
    of,
    name,
    round(peak),
    `${round(block.computed)} / ${round(block.elapsed)}`,
    round(calm, 1),
    round(healthy.p99, 1),
    round(gone, 1),
    faults.length === 0 ? 'holds' : faults.join('; ').replaceAll('|', '\\|').replaceAll('\n', ' '),
  ])
  const columns = [
    'of',
    'attack',
    'MiB at most',
    'longest block (ms)',
    'p99 before (ms)',
    'p99 (ms)',
    'gone after (s)',
    '',
  ]
  return `# Results of \`npm run test:attacks\`

${now.slice(0, 10)} ${now.slice(11, 16)} UTC, ${availableParallelism()} cores, Node ${process.version}. ${all.length} attacks, ${failed.length} with faults.

The bundle, limited to ${limitMib} MiB, with healthy senders beside each attack (50 requests a second over gRPC and over HTTP each).
To hold: at most ${limitMib} MiB resident; no block of the event loop over ${longestBlock} ms of its thread's computing (behind the slash what
passed meanwhile, with what other processes took of the cores); 99 of 100 healthy requests answered in ${slowestHealthy} ms, none refused
or cut off; and ${goneWithin} s after the attacker has left, at most ${nearCalm.rss} MiB and ${nearCalm.charged / 2 ** 20} MiB charged above what was there before, its
connections closed and its work ended. \`of\`: the row of the report on faults that an attack is of.

${table(columns, rows).join('\n')}
`
}
