/** Whether what fails again and again does so because of what is in it, and not because its destination takes little. */
import type { Entry } from './entry.ts'

/** Failures of one batch without which it is not suspected. */
export const suspectAfter = 10

/** How likely it may be that a batch is suspected that only had no luck. */
const byChance = 1e-6

/** How often a destination took something, and how often it wanted it later. */
export class Odds {
  #taken = 0
  #failed = 0

  /** What comes from now on is compared with this entry, unless it was before. */
  follow(entry: Entry): void {
    if (entry.takenBefore >= 0) return
    entry.takenBefore = this.#taken
    entry.failedBefore = this.#failed
  }

  /** What another destination made of it says nothing here. */
  forget(entry: Entry): void {
    entry.failures = 0
    entry.takenBefore = -1
  }

  took(): void {
    this.#taken++
  }

  failed(): void {
    this.#failed++
  }

  /** Whether others were taken so often meanwhile that all failures of this one can hardly be chance. */
  blame(entry: Entry): boolean {
    const { failures, takenBefore, failedBefore } = entry
    if (failures < suspectAfter) return false
    const taken = this.#taken - takenBefore
    const failed = this.#failed - failedBefore - failures
    // As if one more had failed: few answers say little.
    return taken > 0 && ((failed + 1) / (taken + failed + 1)) ** failures < byChance
  }
}
