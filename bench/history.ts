/** history.jsonl: one line for each measurement that is kept, so that a slow drift shows. */
import { execFileSync } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import type { StartFigures } from './bundle.ts'
import type { Row } from './compare.ts'
import { root } from './kit.ts'
import type { QuietFigures } from './quiet.ts'

/** What a run has measured; what it left out is not there. */
export interface Measured {
  readonly rows: readonly Row[]
  readonly quiet?: readonly QuietFigures[] | undefined
  readonly start?: StartFigures | undefined
}

/** One line: which code on which machine, and its figures. */
export function historyLine(
  { rows, quiet = [], start }: Measured,
  of: { commit: string; at: Date; cpu: string },
): string {
  const round = (n: number) => Number(n.toPrecision(3))
  return JSON.stringify({
    at: of.at.toISOString(),
    commit: of.commit,
    node: process.version,
    cpu: of.cpu,
    // Only ratios mean something beyond one machine and one hour.
    ratios: Object.fromEntries(rows.map(row => [row.case.name, round(row.ratio)])),
    peaks_mib: Object.fromEntries(rows.map(row => [row.case.name, Math.round(row.peak)])),
    quiet: quiet.map(({ rate, collector, kymo }) => ({
      rate,
      cpu_ratio: round(kymo.cpu_percent / collector.cpu_percent),
      rss_mib: kymo.rss_mib,
      sent_ratio: round(kymo.sent / Math.max(1, collector.sent)),
    })),
    ...(start === undefined ? {} : { ready_ms: Math.round(start.ready), idle_mib: Math.round(start.idle) }),
  })
}

/** Appends the line of what stands in the worktree. */
export function appendHistory(measured: Measured): void {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
  const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+'
  const of = {
    commit: git('rev-parse', '--short', 'HEAD') + changed,
    at: new Date(),
    cpu: cpus()[0]?.model.trim() ?? '',
  }
  appendFileSync(join(root, 'bench/history.jsonl'), `${historyLine(measured, of)}\n`)
}
