import { elementAt } from '../../core/element-at.ts'
import type { Batch } from '../../core/batch.ts'
import type { Delivery } from '../../core/delivery.ts'
import type { Share } from '../../core/share.ts'
import type { Ending, Stored } from '../../core/storage.ts'

/** How many items ended in which way. */
export type Endings = Map<Ending, number>

/** The record on disk that a claim stands for. */
export interface OnDisk {
  readonly record: Stored
  /** When it is too old to be sent, in milliseconds on the clock of `performance.now()`. */
  readonly expires: number
}

/** One of several batches that are sent as one, and its items of which nobody knows yet how they end. */
interface Member {
  readonly claim: Claim
  open: number
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
  /** Of several that are on disk: each is done there when its own items are, whatever keeps the others. */
  #members: ReadonlyMap<Delivery, readonly Member[]> | undefined
  readonly #onEnd: (endings: Endings | undefined) => void

  /** `onEnd` hears how the items ended where `onDisk` says that somebody keeps account of it. */
  constructor(onEnd: (endings: Endings | undefined) => void, onDisk?: OnDisk) {
    this.#onEnd = onEnd
    this.since = onDisk?.record.at ?? Date.now()
    this.expires = onDisk?.expires ?? Infinity
    this.durable = onDisk !== undefined
    this.#endings = onDisk && new Map()
  }

  /** One claim for several batches that are sent as one. */
  static merged(parts: readonly { readonly claim: Claim; readonly batch: Batch }[]): Claim {
    const first = elementAt(parts, 0).claim
    if (!first.durable) {
      return new Claim(() => {
        for (const { claim } of parts) claim.end()
      })
    }
    const members: Member[] = []
    const byDelivery = new Map<Delivery, Member[]>()
    for (const { claim, batch } of parts) {
      const member: Member = { claim, open: batch.items }
      members.push(member)
      for (const { delivery } of batch.shares) {
        const there = byDelivery.get(delivery)
        if (there === undefined) byDelivery.set(delivery, [member])
        else if (there.at(-1) !== member) there.push(member)
      }
    }
    const expires = parts.reduce((soonest, { claim }) => Math.min(soonest, claim.expires), Infinity)
    const onDisk = { record: { seq: 0, items: 0, bytes: 0, at: first.since }, expires }
    const merged = new Claim(endings => {
      for (const { claim, open } of members) {
        if (open === 0) continue
        if (endings !== undefined) claim.#take(endings, open)
        claim.end()
      }
    }, onDisk)
    merged.#members = byDelivery
    return merged
  }

  /** One piece became two. */
  split(): void {
    this.#pieces++
  }

  /** `items` of it ended in this way, of requests that have these `shares` in what ended. */
  settle(items: number, ending: Ending, shares: readonly Share[]): void {
    if (this.#endings === undefined) return
    let left = items
    for (const share of shares) {
      if (left === 0) return
      left -= this.#settleMember(share, Math.min(left, share.items), ending)
    }
    if (left > 0) this.#count(left, ending)
  }

  /** As many of `items` as are open of the batch that the share is of. */
  #settleMember({ delivery }: Share, items: number, ending: Ending): number {
    const member = this.#members?.get(delivery)?.find(({ open }) => open > 0)
    if (member === undefined) return 0
    const mine = Math.min(items, member.open)
    member.open -= mine
    member.claim.#count(mine, ending)
    if (member.open === 0) member.claim.end()
    return mine
  }

  #count(items: number, ending: Ending): void {
    this.#endings?.set(ending, (this.#endings.get(ending) ?? 0) + items)
  }

  /** One piece ended; says whether it was the last. */
  end(): boolean {
    if (--this.#pieces > 0) return false
    this.#onEnd(this.#endings)
    return true
  }

  /** Takes the account of `items` out of that of several batches: nobody knows whose items ended how, the sums are right. */
  #take(endings: Endings, items: number): void {
    let left = items
    for (const [ending, count] of endings) {
      const taken = Math.min(left, count)
      endings.set(ending, count - taken)
      if (taken > 0) this.#count(taken, ending)
      left -= taken
    }
  }
}
