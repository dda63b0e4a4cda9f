/** Where somebody looks on: put into the way of batches while a tap is there, so that there is nothing to pay without one. */
import type { Batch } from '../../core/batch.ts'
import type { Target } from './outlet.ts'

/** What is handed to a node, or what it hands on. */
export type TapSide = 'in' | 'out'

/** Somebody who looks at batches where they pass. It never throws, and keeps nothing of a batch beyond the call. */
export interface Tap {
  /** A batch is handed over now. */
  see(batch: Batch): void
  /** It has been: whatever a step makes of it at once has come out. */
  passed?(): void
}

/** A target that is looked at. */
class Tapped implements Target {
  readonly #taps: readonly Tap[]
  readonly #next: Target

  constructor(taps: readonly Tap[], next: Target) {
    this.#taps = taps
    this.#next = next
  }

  push(batch: Batch): void {
    for (const tap of this.#taps) tap.see(batch)
    this.#next.push(batch)
    for (const tap of this.#taps) tap.passed?.()
  }
}

/** `next`, with `taps` in front of it where there are any. */
export function tapped(taps: readonly Tap[], next: Target): Target {
  return taps.length === 0 ? next : new Tapped(taps, next)
}
