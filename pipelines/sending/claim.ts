import { elementAt } from '../../core/element-at.ts'
import type { Ending, Stored } from '../../core/storage.ts'

/** How many items ended in which way. */
export type Endings = Map<Ending, number>

/** The record on disk that a claim stands for. */
export interface OnDisk {
  readonly record: Stored
  /** When it is too old to be sent, in milliseconds on the clock of `performance.now()`. */
  readonly expires: number
}

/**
 * The room one batch takes in a queue, until the last piece of it ended. Also what its pieces have in common when it is
 * bisected: how many sends that may still cost, and whether anything of it was taken.
 */
export class Claim {
  /** Sends that looking for the bad part may still cost. */
  sendsLeft = 0
  bisected = false
  delivered = false
  /** When the first of it came in, in milliseconds since the epoch. */
  readonly since: number
  /** When it is too old to be sent, in milliseconds on the clock of `performance.now()`: nobody sets that. */
  readonly expires: number
  /** It is on disk and comes back after a restart: it need not end before this process does. */
  readonly durable: boolean
  #pieces = 1
  readonly #endings: Endings | undefined
  readonly #onEnd: (endings: Endings | undefined) => void

  /** `onEnd` hears how the items ended where `onDisk` says that somebody keeps account of it. */
  constructor(onEnd: (endings: Endings | undefined) => void, onDisk?: OnDisk) {
    this.#onEnd = onEnd
    this.since = onDisk?.record.at ?? Date.now()
    this.expires = onDisk?.expires ?? Infinity
    this.durable = onDisk !== undefined
    this.#endings = onDisk && new Map()
  }

  /** One claim for several batches that are sent as one, each of so many items. */
  static merged(parts: readonly { readonly claim: Claim; readonly items: number }[]): Claim {
    const first = elementAt(parts, 0).claim
    const end = (endings: Endings | undefined): void => {
      for (const { claim, items } of parts) {
        if (endings !== undefined) claim.#take(endings, items)
        claim.end()
      }
    }
    if (!first.durable) return new Claim(end)
    const expires = parts.reduce((soonest, { claim }) => Math.min(soonest, claim.expires), Infinity)
    return new Claim(end, { record: { seq: 0, items: 0, bytes: 0, at: first.since }, expires })
  }

  /** One piece became two. */
  split(): void {
    this.#pieces++
  }

  /** `items` of it ended in this way. */
  settle(items: number, ending: Ending): void {
    if (this.#endings === undefined || items === 0) return
    this.#endings.set(ending, (this.#endings.get(ending) ?? 0) + items)
  }

  /** One piece ended; says whether it was the last. */
  end(): boolean {
    if (--this.#pieces > 0) return false
    this.#onEnd(this.#endings)
    return true
  }

  /** Takes the account of `items` out of one of several batches: nobody knows whose items ended how, the sums are right. */
  #take(endings: Endings, items: number): void {
    let left = items
    for (const [ending, count] of endings) {
      const taken = Math.min(left, count)
      endings.set(ending, count - taken)
      this.settle(taken, ending)
      left -= taken
    }
  }
}
