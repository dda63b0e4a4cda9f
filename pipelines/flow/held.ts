import type { Batch } from '../../core/batch.ts'
import type { Chained } from '../../core/chain.ts'
import type { Context } from '../../core/context.ts'
import { type Ended, type Fate, done } from '../../core/delivery.ts'
import type { DeliveryError } from '../../core/errors.ts'
import type { Held, Receipt } from '../../core/holding.ts'
import type { Reason } from '../../core/verdict.ts'
import type { Signal } from '../../proto/signals.ts'
import type { KeyOf } from '../../proto/split.ts'

/** Who has handles, and does what is asked of them. */
export interface HeldOwner {
  /** Whether `held` has not ended; else that is counted as a fault. */
  end(held: HeldBatch): boolean
  split(held: HeldBatch, keyOf: KeyOf): ReadonlyMap<string, Held>
  open(batch: Batch, since: number, root: HeldBatch | undefined): HeldBatch
  handOn(batch: Batch, isAlone: boolean): void
  drop(batch: Batch, reason: Reason): void
  refuse(batch: Batch, error: DeliveryError): void
  /** Its senders hear success; `isSettled`: sources behind it, too. */
  consumed(batch: Batch, isSettled: boolean): void
  replaced(batch: Batch): Replaced
}

/** One handle. */
export class HeldBatch implements Held, Chained<HeldBatch> {
  before: HeldBatch | undefined
  after: HeldBatch | undefined
  chain: object | undefined
  readonly since: number
  /** What it was cut from while its step was handed that: it ends with it when the step throws. */
  readonly root: HeldBatch | undefined
  owner: HeldOwner
  batch: Batch

  constructor(owner: HeldOwner, batch: Batch, since: number, root: HeldBatch | undefined) {
    this.owner = owner
    this.batch = batch
    this.since = since
    this.root = root
  }

  get items(): number {
    return this.batch.items
  }

  get bytes(): number {
    return this.batch.byteLength
  }

  get signal(): Signal {
    return this.batch.signal
  }

  get origin(): Context {
    return this.batch.context
  }

  get awaited(): boolean {
    return this.batch.refusable && !this.batch.withdrawn
  }

  cut(items: number): readonly [Held, Held | undefined] {
    if (items >= this.items) return [this, undefined]
    // First, as it may throw: until then this has not ended.
    const [head, rest] = this.batch.cut(items)
    if (!this.owner.end(this)) return [this, undefined]
    const part = (batch: Batch): HeldBatch => this.owner.open(batch, this.since, this.root ?? this)
    return [part(head), rest && part(rest)]
  }

  split(keyOf: KeyOf): ReadonlyMap<string, Held> {
    return this.owner.split(this, keyOf)
  }

  emit(alone?: 'alone'): void {
    if (this.owner.end(this)) this.owner.handOn(this.batch, alone === 'alone')
  }

  drop(reason: Reason): void {
    if (this.owner.end(this)) this.owner.drop(this.batch, reason)
  }

  refuse(error: DeliveryError): void {
    if (this.owner.end(this)) this.owner.refuse(this.batch, error)
  }

  consume(): void {
    if (this.owner.end(this)) this.owner.consumed(this.batch, true)
  }

  replace(): Receipt {
    if (!this.owner.end(this)) return new Replaced(0, undefined)
    this.owner.consumed(this.batch, false)
    return this.owner.replaced(this.batch)
  }
}

/** What is left of data that was replaced: sources that are to hear how what stands in its place ended. */
export class Replaced implements Receipt {
  readonly items: number
  #batch: Batch | undefined

  constructor(items: number, batch: Batch | undefined) {
    this.items = items
    this.#batch = batch
  }

  /** It is as safe as what was made in its place. Once. */
  settle(end: Ended): void {
    const batch = this.#batch
    this.#batch = undefined
    batch?.settle(fateOf(end))
  }
}

function fateOf(end: Ended): Fate {
  if (end.again) return { kind: 'again', error: end.error }
  if (end.lost > 0) return { kind: 'lost', reason: end.reason ?? 'lost' }
  return end.rejected > 0 ? { kind: 'rejected', reason: end.reason ?? 'rejected' } : done
}
