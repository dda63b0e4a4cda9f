/** What a fuzzer found, and what a run of one came to. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** One input that did what none may. */
export interface Finding {
  readonly surface: string
  readonly what: string
  /** What makes the input again. */
  readonly seed: number
  readonly index: number
  readonly input: Buffer
}

/** What came of many inputs. */
export interface Tally {
  readonly surface: string
  inputs: number
  accepted: number
  refused: number
  readonly findings: Finding[]
  /** Milliseconds of the slowest input, and which it was. */
  slowest: number
  slowestIndex: number
}

/** An empty tally. */
export const tallyOf = (surface: string): Tally => ({
  surface,
  inputs: 0,
  accepted: 0,
  refused: 0,
  findings: [],
  slowest: 0,
  slowestIndex: -1,
})

/** Beyond this many, findings say nothing new. */
const enough = 50

/** Adds a finding, unless there are many. */
export function note(tally: Tally, finding: Omit<Finding, 'surface'>): void {
  if (tally.findings.length < enough) tally.findings.push({ surface: tally.surface, ...finding })
}

/** Notes how long an input took. */
export function timed(tally: Tally, index: number, since: number): void {
  const took = performance.now() - since
  if (took <= tally.slowest) return
  tally.slowest = took
  tally.slowestIndex = index
}

/** Writes findings to a folder that git does not keep: the input as it is, and beside it what it did. */
export function keep(findings: readonly Finding[], folder = join(import.meta.dirname, 'findings')): void {
  if (findings.length === 0) return
  mkdirSync(folder, { recursive: true })
  for (const { surface, what, seed, index, input } of findings) {
    const path = join(folder, `${surface}-${seed}-${index}`)
    writeFileSync(`${path}.bin`, input)
    writeFileSync(`${path}.txt`, `surface ${surface}\nseed ${seed}\nindex ${index}\n${what}\n`)
  }
}
