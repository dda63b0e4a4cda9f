/** What is to be done when nothing else is: write down endings, give back segments. */
import type { LogClock } from './clock.ts'
import type { Segment } from './segment.ts'
import type { Shelf } from './shelf.ts'

/** Endings are written down after so many milliseconds, when nothing else is written. */
const patience = 200

/** Remembers what there is to do. */
export class Upkeep {
  /** Endings wait for a snapshot, and did so long enough. */
  isDue = false
  readonly #shelf: Shelf
  readonly #clock: LogClock
  readonly #wake: () => void
  #cancel: (() => void) | undefined
  /** Segments without a living record, and the version of the owners' state that says so. */
  #empty: { readonly segment: Segment; readonly version: number }[] = []

  constructor(shelf: Shelf, clock: LogClock, wake: () => void) {
    this.#shelf = shelf
    this.#clock = clock
    this.#wake = wake
  }

  /** A snapshot will be due. */
  arm(): void {
    if (this.isDue) return
    this.#cancel ??= this.#clock.after(patience, () => {
      this.#cancel = undefined
      this.isDue = true
      this.#wake()
    })
  }

  /** No snapshot is due. */
  disarm(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.isDue = false
  }

  /** `segment`, to which nothing is added any more, has nothing left, as the state of `version` knows. */
  emptied(segment: Segment, version: number): void {
    // What is still written to may be filled again: it is looked at anew when it is sealed.
    if (!segment.sealed) return
    if (!this.#empty.some(one => one.segment === segment)) this.#empty.push({ segment, version })
  }

  /** A segment that may go: what is on disk for sure says that nothing of it is needed. */
  removable(written: number, needed: (segment: Segment) => boolean): Segment | undefined {
    return this.#empty.find(one => one.version <= written && one.segment.live.size === 0 && !needed(one.segment))
      ?.segment
  }

  /** Gives it back. */
  async remove(segment: Segment): Promise<void> {
    this.#empty = this.#empty.filter(one => one.segment !== segment)
    await this.#shelf.discard(segment)
  }
}
