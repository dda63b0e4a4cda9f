import { encodeGroups, type Group, groupCost, groupsSize } from '../proto/group.ts'
import { cutGroup, moveGroups } from '../proto/cut.ts'
import type { Signal } from '../proto/signals.ts'
import type { SharedBody } from './body.ts'
import type { Context } from './context.ts'
import { type Delivery, done, type Fate } from './delivery.ts'
import { type DeliveryError, InternalError } from './errors.ts'
import type { Lease } from './lease.ts'
import { isWatched, settle, type Share, runsByLease, shareOf } from './share.ts'

/**
 * Telemetry of one signal on its way. Immutable: an edit makes a new value that shares what did not change. Whoever is
 * handed a batch hands it on or ends it (`accept`, `drop`, `reject`, `refuse`), whole or in the parts it made of it.
 */
export class Batch {
  readonly signal: Signal
  readonly groups: readonly Group[]
  /** Spans, log records, data points. */
  readonly items: number
  readonly context: Context
  /** The requests this is made of, in the order of the groups. */
  readonly shares: readonly Share[]
  #byteLength = -1
  #bodies: SharedBody[] | undefined

  constructor(signal: Signal, groups: readonly Group[], items: number, context: Context, shares: readonly Share[]) {
    this.signal = signal
    this.groups = groups
    this.items = items
    this.context = context
    this.shares = shares
  }

  /** A batch that is one request. */
  static of(
    signal: Signal,
    request: { readonly groups: readonly Group[]; readonly items: number },
    context: Context,
    delivery: Delivery,
    lease: Lease,
  ): Batch {
    const { groups, items } = request
    return new Batch(signal, groups, items, context, [shareOf(delivery, lease, items, groups.length, context)])
  }

  /** Bytes of this as an OTLP request. */
  get byteLength(): number {
    if (this.#byteLength < 0) this.#byteLength = groupsSize(this.groups)
    return this.#byteLength
  }

  /** What is in flight of this batch; see core/body.ts. */
  get bodies(): SharedBody[] {
    return (this.#bodies ??= [])
  }

  /** The same requests with `groups` in place of the groups, one for one; `grown` bytes were newly made for them. */
  withGroups(groups: readonly Group[], grown: number): Batch {
    const batch = new Batch(this.signal, groups, this.items, this.context, this.shares)
    batch.#grow(grown)
    return batch
  }

  /**
   * What is left of the same requests when items were taken out: `groups` stand one for one for the groups, undefined where
   * nothing is left; `grown` bytes were newly made for them.
   */
  withoutItems(groups: readonly (Group | undefined)[], grown: number): Batch | undefined {
    const kept: Part = { groups: [], shares: [], items: 0 }
    let at = 0
    for (const share of this.shares) {
      const left = groups.slice(at, at + share.groups).filter(group => group !== undefined)
      at += share.groups
      add(kept, share, left)
    }
    if (kept.items === 0) return undefined
    const batch = this.#part(kept)
    batch.#grow(grown)
    return batch
  }

  /** What was taken out, to be ended: `counts` are the items of each group. It carries counts and no data. */
  takenOut(counts: Uint32Array): Batch {
    const out: Part = { groups: [], shares: [], items: 0 }
    let at = 0
    for (const share of this.shares) {
      let items = 0
      for (const count of counts.subarray(at, at + share.groups)) items += count
      at += share.groups
      if (items === 0) continue
      out.items += items
      out.shares.push({ ...share, items, groups: 0 })
    }
    return this.#part(out)
  }

  /** Charges `bytes` that were made for this batch to the requests they were made for, by the size of each. */
  #grow(bytes: number): void {
    if (bytes === 0) return
    const first = this.shares[0]
    if (first === undefined) throw new InternalError(`${bytes} bytes were made for a batch of no request`)
    let left = bytes
    let at = first.groups
    for (const share of this.shares) {
      if (share === first) continue
      const mine = this.groups.slice(at, at + share.groups)
      at += share.groups
      const part = Math.min(left, Math.floor((bytes * groupsSize(mine)) / this.byteLength))
      share.lease.grow(part)
      left -= part
    }
    first.lease.grow(left)
  }

  /**
   * Parts this by group. Both parts together carry what this one did; a part without items is undefined, and groups
   * without items go with those that pass.
   */
  partition(passes: (group: Group) => boolean): [kept: Batch | undefined, rest: Batch | undefined] {
    const { groups } = this
    const firstOut = groups.findIndex(group => !passes(group))
    if (firstOut < 0) return [this, undefined]
    const verdicts = groups.map((group, i) => i < firstOut || (i > firstOut && passes(group)))
    return [this.#select(verdicts, true), this.#select(verdicts, false)]
  }

  #select(verdicts: readonly boolean[], wanted: boolean): Batch | undefined {
    const groups: Group[] = []
    const shares: Share[] = []
    let items = 0
    let at = 0
    for (const share of this.shares) {
      const before = groups.length
      let shareItems = 0
      for (const end = at + share.groups; at < end; at++) {
        const group = verdicts[at] === wanted ? this.groups[at] : undefined
        if (group === undefined) continue
        groups.push(group)
        shareItems += group.items
      }
      items += shareItems
      if (shareItems > 0) shares.push({ ...share, items: shareItems, groups: groups.length - before })
      else groups.length = before
    }
    return items === 0 ? undefined : new Batch(this.signal, groups, items, this.context, shares)
  }

  /** The first `items` items, spans, log records or data points, and the rest. */
  cut(items: number): [head: Batch, rest: Batch | undefined] {
    if (items >= this.items) return [this, undefined]
    const head: Part = { groups: [], shares: [], items: 0 }
    const rest: Part = { groups: [], shares: [], items: 0 }
    let at = 0
    for (const share of this.shares) {
      const mine = this.groups.slice(at, at + share.groups)
      at += share.groups
      const [front, back] = cutShare(this.signal, mine, items - head.items)
      add(head, share, front)
      add(rest, share, back)
    }
    return [this.#part(head), rest.items === 0 ? undefined : this.#part(rest)]
  }

  #part(part: Part): Batch {
    return new Batch(this.signal, part.groups, part.items, this.context, part.shares)
  }

  /** Only the requests from `from` to before `to`: bisecting starts along these boundaries. */
  sliceShares(from: number, to: number): Batch {
    let at = 0
    for (const { groups } of this.shares.slice(0, from)) at += groups
    const mine = this.shares.slice(from, to)
    let end = at
    let items = 0
    for (const share of mine) {
      end += share.groups
      items += share.items
    }
    return new Batch(this.signal, this.groups.slice(at, end), items, this.context, mine)
  }

  /** This batch holding no more memory than about twice its bytes: shares that pin larger buffers are copied out. */
  compacted(): Batch {
    const { shares } = this
    const first = shares[0]
    // The usual case: one request, most of it kept.
    const whole = this.byteLength + this.groups.length * groupCost
    if (first !== undefined && shares.length === 1 && whole >= first.lease.bytes / 2) return this
    let groups: Group[] | undefined
    const kept: Share[] = []
    let at = 0
    for (const run of runsByLease(shares)) {
      const from = at
      let items = 0
      for (const share of run) {
        at += share.groups
        items += share.items
      }
      const [{ lease }] = run
      const mine = this.groups.slice(from, at)
      const size = groupsSize(mine) + mine.length * groupCost
      if (size >= lease.bytes / 2) {
        kept.push(...run)
        continue
      }
      groups ??= [...this.groups]
      for (const [j, group] of moveGroups(mine, encodeGroups(mine)).entries()) groups[from + j] = group
      const copy = lease.copy(size, items)
      for (const share of run) kept.push({ ...share, lease: copy })
    }
    return groups ? new Batch(this.signal, groups, this.items, this.context, kept) : this
  }

  /** Another holder of the same data (fan-out): deliveries and leases wait for both. */
  fork(): this {
    for (const share of this.shares) {
      const { answered, delivery, lease, items } = share
      // Who was answered for these hears nothing of either branch, and may still wait for others.
      if (!answered) delivery.fork(items)
      if (isWatched(share)) delivery.forkEnd(items)
      lease.hold(items)
    }
    return this
  }

  /** Every part of it can be sent again by whoever sent it; what cannot must not be refused. */
  get refusable(): boolean {
    return this.shares.every(({ answered, delivery }) => !answered && delivery.refusable)
  }

  /** Some of its senders were told that it is taken: it must not be given back. */
  get answered(): boolean {
    return this.shares.some(({ answered }) => answered)
  }

  /** All senders gave up waiting. */
  get withdrawn(): boolean {
    return this.shares.every(({ answered, delivery }) => !answered && delivery.withdrawn)
  }

  #acknowledge(warning?: string): void {
    for (const { answered, delivery, items } of this.shares) if (!answered) delivery.accept(items, warning)
  }

  /** Tells the senders that the data was taken; the same data from now on, of which they hear nothing more. */
  taken(): Batch {
    if (this.shares.every(({ answered }) => answered)) return this
    this.#acknowledge()
    return this.#withShares(this.shares.map(share => ({ ...share, answered: true })))
  }

  /** The same, now that it is on disk: sources behind it hear that. */
  secured(): Batch {
    if (!this.watched) return this
    return this.#withShares(
      this.shares.map(share => {
        settle(share, share.items, done)
        return { ...share, safe: true }
      }),
    )
  }

  #withShares(shares: readonly Share[]): Batch {
    return new Batch(this.signal, this.groups, this.items, this.context, shares)
  }

  /** Somebody may still read the bytes after this batch ended; see Lease. */
  keepFromPool(): void {
    for (const { lease } of this.shares) lease.keepFromPool()
  }

  /** Lets the bytes go, once the senders were answered; `fate` is what became of them. */
  release(fate: Fate): void {
    for (const share of this.shares) {
      share.lease.release(share.items)
      settle(share, share.items, fate)
    }
  }

  /** Whether a source waits for the end of some of it. */
  get watched(): boolean {
    return this.shares.some(isWatched)
  }

  /** Ends all of it as taken, but for sources, which hear by `settle` what became of what was made of it. */
  replace(): void {
    this.#acknowledge()
    for (const { lease, items } of this.shares) lease.release(items)
  }

  /** After `replace`. */
  settle(fate: Fate): void {
    for (const share of this.shares) settle(share, share.items, fate)
  }

  /** Ends all of it as taken. */
  accept(warning?: string): void {
    this.#acknowledge(warning)
    this.release(done)
  }

  /**
   * Ends all of it as taken, but for `rejected` items. One request: its sender hears how many. Several: nobody knows whose
   * they were, all hear a warning. `message` is what the destination said.
   */
  acceptInPart(rejected: number, message: string): void {
    const [share] = this.shares
    if (rejected === 0 || share === undefined || this.shares.length > 1) return this.accept(message || undefined)
    const { answered, delivery, lease, items } = share
    const reason = message || 'rejected by the destination'
    if (!answered) {
      delivery.reject(rejected, reason)
      if (items > rejected) delivery.accept(items - rejected)
    }
    lease.release(items)
    settle(share, rejected, { kind: 'rejected', reason })
    settle(share, items - rejected, done)
  }

  /** Ends all of it as dropped by a rule. */
  drop(): void {
    this.#drop(done)
  }

  /** Ends all of it as given up, with nobody to give it back to but a source that can read it again. */
  lose(reason: string): void {
    this.#drop({ kind: 'lost', reason })
  }

  /** Ends all of it as lost for those who were answered; a source that can read it again is to do so. */
  abandon(error: DeliveryError): void {
    this.#drop({ kind: 'again', error })
  }

  #drop(fate: Fate): void {
    for (const { answered, delivery, items } of this.shares) if (!answered) delivery.drop(items)
    this.release(fate)
  }

  /**
   * Ends whatever of it has not ended, as not taken: after a fault of ours, when nobody knows how far it came. Never throws.
   */
  endRest(error: DeliveryError): void {
    for (const share of this.shares) {
      const { answered, delivery, lease, items } = share
      if (!answered) delivery.refuse(Math.min(items, delivery.open), error)
      lease.release(Math.min(items, lease.items))
      settle(share, Math.min(items, delivery.unsettled), { kind: 'again', error })
    }
  }

  /** Ends all of it as never to be taken. */
  reject(reason: string): void {
    for (const { answered, delivery, items } of this.shares) if (!answered) delivery.reject(items, reason)
    this.release({ kind: 'rejected', reason })
  }

  /** Ends all of it as not taken, to be sent again. */
  refuse(error: DeliveryError): void {
    for (const { answered, delivery, items } of this.shares) if (!answered) delivery.refuse(items, error)
    this.release({ kind: 'again', error })
  }
}

interface Part {
  groups: Group[]
  shares: Share[]
  items: number
}

function add(part: Part, share: Share, groups: readonly Group[]): void {
  let items = 0
  for (const group of groups) items += group.items
  if (items === 0) return
  for (const group of groups) part.groups.push(group)
  part.shares.push({ ...share, items, groups: groups.length })
  part.items += items
}

/** Groups of one request up to `items`, and those after. */
function cutShare(signal: Signal, groups: readonly Group[], items: number): [Group[], Group[]] {
  const front: Group[] = []
  const back: Group[] = []
  let left = items
  for (const group of groups) {
    if (left <= 0) back.push(group)
    else if (group.items <= left) front.push(group)
    else {
      const [head, rest] = cutGroup(signal, group, left)
      if (head) front.push(head)
      if (rest) back.push(rest)
    }
    left -= group.items
  }
  return [front, back]
}
