import type { Batch } from '../../core/batch.ts'
import { Chain } from '../../core/chain.ts'
import type { Context } from '../../core/context.ts'
import type { Budget } from '../../core/budget.ts'
import type { Ended, Listener } from '../../core/delivery.ts'
import { DeliveryError, InternalError } from '../../core/errors.ts'
import type { Attached, Held, Holder, Receipt } from '../../core/holding.ts'
import { mergeBatches } from '../../core/merge.ts'
import { ownBatch } from '../../core/own-batch.ts'
import type { Pressed } from '../../core/pressure.ts'
import { splitBatch } from '../../core/splitting.ts'
import type { Reason } from '../../core/verdict.ts'
import type { Signal } from '../../proto/signals.ts'
import type { KeyOf } from '../../proto/split.ts'
import { HeldBatch, type HeldOwner, Replaced } from './held.ts'

/** What a holding needs of its node. */
export interface HoldingTerms {
  /** Whether senders are answered as soon as the step keeps their data. */
  readonly answers: () => boolean
  /** Whether what is emitted finds a way out. */
  readonly mayEmit: () => boolean
  readonly now: () => number
  readonly budget: () => Budget
  /** Something is kept that the node has been handed. */
  kept(batch: Batch): void
  /** Hands `batch` on by `next`, and gives back what does not come out. */
  offer(batch: Batch, next: (batch: Batch) => void): void
  /** So many items were made here; they are offered next. */
  made(items: number): void
  end(batch: Batch, reason: Reason): void
  /** Why items end that cannot be read. */
  malformed(): Reason
  refuse(batch: Batch, error: DeliveryError): void
  consumed(batch: Batch, isSettled: boolean): void
  /** Gives back what the step threw on, or did not end in time. */
  giveBack(batch: Batch, error: unknown): void
  fault(error: unknown): void
  /** The step has forgotten `batch`. */
  stale(batch: Batch): void
  /** The instance fails again and again. */
  failing(error: unknown): void
}

/** Items up to which what is emitted one after the other leaves as one. */
const joinedMost = 8192
/** So many throws within a minute make a new instance. */
const throwsMost = 3
const minute = 60_000
/** Part of the budget that all that is held may take, so that data still comes in. */
const heldShare = 1 / 2

const well: Ended = { again: false, rejected: 0, lost: 0, reason: undefined }

interface Emitted {
  readonly batch: Batch
  readonly isAlone: boolean
  readonly isMade: boolean
}

/** What the step of one node keeps, whichever instance runs. */
export class Holding implements HeldOwner, Pressed {
  readonly #terms: HoldingTerms
  /** The oldest first. */
  readonly #live = new Chain<HeldBatch>()
  /** What was opened, while the step is handed something; at other times nobody asks, and it would stay alive. */
  #fresh: HeldBatch[] | undefined
  /** Receipts of what a source waits for, until what stands in its place has ended. */
  readonly #pledged = new Set<Replaced>()
  readonly #out: Emitted[] = []
  #holder: Holder | undefined
  #emit: ((batch: Batch) => void) | undefined
  #depth = 0
  #isFlushing = false
  #throws: number[] = []
  #unpressed: (() => void) | undefined
  /** Bytes of all that is held. */
  bytes = 0

  constructor(terms: HoldingTerms) {
    this.#terms = terms
  }

  /** Items of all that is held, and of what leaves now. */
  get items(): number {
    let items = 0
    for (const held of this.#live) items += held.items
    for (const { batch, isMade } of this.#out) if (!isMade) items += batch.items
    return items
  }

  /** `holder` runs from now on. What the instance before it kept it is given with `resume`. */
  attach(holder: Holder, emit: (batch: Batch) => void): Attached {
    this.#holder = holder
    this.#emit = emit
    if (holder.pressure !== undefined) this.#unpressed ??= this.#terms.budget().pressure.join(this)
    this.during(() => holder.start?.())
    return {
      take: batch => this.#take(batch),
      flush: () => {
        if (this.#holder === holder) this.during(() => holder.flush())
      },
      detach: () => {
        if (this.#holder !== holder) return
        this.during(() => holder.stop?.())
        this.#holder = undefined
      },
    }
  }

  /** Gives the instance that runs all that is kept. What it throws on once more is given back. */
  resume(): void {
    const all = Array.from(this.#live)
    for (const held of all) this.#hand(held)
  }

  /** Takes over what another node's instance kept, which runs no more, and what it knew. */
  adopt(previous: Holding): void {
    const before = previous.#holder
    previous.#holder = undefined
    this.during(() => {
      const state = before?.leave?.()
      if (state !== undefined) this.#holder?.adopt?.(state)
    })
    this.during(() => before?.stop?.())
    for (const receipt of previous.#pledged) this.#pledged.add(receipt)
    previous.#pledged.clear()
    const theirs = previous.#live.clear()
    previous.bytes = 0
    for (const held of theirs) {
      held.owner = this
      this.#add(held)
    }
    for (const held of theirs) this.#hand(held)
  }

  /** Runs work of the instance; what it emits leaves afterwards. */
  during<T>(work: () => T): T | undefined {
    this.#depth++
    try {
      return work()
    } catch (error) {
      this.#threw(error)
      return undefined
    } finally {
      this.#depth--
      this.#flush()
    }
  }

  idle(): void {
    const holder = this.#holder
    if (holder?.idle !== undefined) this.during(() => holder.idle?.())
  }

  /** Memory is short. */
  press(bytes: number): void {
    const holder = this.#holder
    if (holder?.pressure !== undefined) this.during(() => holder.pressure?.(bytes, this.#terms.mayEmit()))
  }

  /** Gives back all that is kept. */
  giveBack(error: DeliveryError): void {
    const left = this.#live.clear()
    this.bytes = 0
    for (const { batch } of left) this.#terms.giveBack(batch, error)
    this.#unpressed?.()
    this.#unpressed = undefined
    this.forget(error)
  }

  /** What was to be made in the place of other data will not be: sources read that again. */
  forget(error: DeliveryError): void {
    const receipts = [...this.#pledged]
    this.#pledged.clear()
    for (const one of receipts) one.settle({ again: true, error })
  }

  join(held: readonly Held[]): Held {
    const mine = held.filter((one): one is HeldBatch => one instanceof HeldBatch && this.end(one))
    if (mine.length === 0) throw new InternalError('there is nothing to join')
    const since = Math.min(...mine.map(one => one.since))
    return this.open(mergeBatches(mine.map(({ batch }) => batch)), since, undefined)
  }

  make(signal: Signal, body: Buffer, origin: Context, settles: readonly Receipt[]): void {
    const receipts = settles.filter((one): one is Replaced => one instanceof Replaced && this.#pledged.has(one))
    const settle = (end: Ended): void => {
      for (const one of receipts) if (this.#pledged.delete(one)) one.settle(end)
    }
    // Nobody waits for an answer; a source may wait for the end.
    const listener: Listener | undefined = receipts.length === 0 ? undefined : { answered() {}, ended: settle }
    const batch = ownBatch(this.#terms.budget(), signal, body, origin, listener)
    if (batch === undefined) return settle(well)
    this.#leave({ batch: batch.taken(), isAlone: false, isMade: true })
  }

  /** Ends what the step has kept for longer than `age` milliseconds. */
  endStale(age: number): void {
    const end = this.#terms.now() - age
    // The rest is younger, or will be looked at when the first is old.
    for (let held = this.#live.first; held !== undefined && held.since <= end; held = this.#live.first) {
      this.end(held)
      this.#terms.stale(held.batch)
    }
  }

  split(held: HeldBatch, keyOf: KeyOf): ReadonlyMap<string, Held> {
    if (!this.#live.has(held)) {
      this.end(held)
      return new Map()
    }
    const split = splitBatch(held.batch, keyOf, this.#terms.budget())
    if (split === undefined) {
      const text = 'the memory budget is used up; retry later'
      throw new DeliveryError('DELIVERY_MEMORY', 'retry', text)
    }
    if (split.malformed !== undefined) this.#terms.end(split.malformed, this.#terms.malformed())
    const parts = new Map<string, HeldBatch>()
    for (const [key, batch] of split.parts) {
      if (batch === held.batch) parts.set(key, held)
      else parts.set(key, this.open(batch, held.since, held.root ?? held))
    }
    if (![...parts.values()].includes(held)) this.end(held)
    return parts
  }

  open(batch: Batch, since: number, root: HeldBatch | undefined): HeldBatch {
    return this.#add(new HeldBatch(this, batch, since, root))
  }

  end(held: HeldBatch): boolean {
    if (this.#live.delete(held)) {
      this.bytes -= held.bytes
      return true
    }
    this.#terms.fault(new InternalError('a handle was used after it had ended'))
    return false
  }

  handOn(batch: Batch, isAlone: boolean): void {
    if (batch.withdrawn) {
      return this.refuse(batch, new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the sender stopped waiting'))
    }
    this.#leave({ batch, isAlone, isMade: false })
  }

  drop(batch: Batch, reason: Reason): void {
    this.#terms.end(batch, reason)
  }

  refuse(batch: Batch, error: DeliveryError): void {
    this.#terms.refuse(batch, error)
  }

  consumed(batch: Batch, isSettled: boolean): void {
    this.#terms.consumed(batch, isSettled)
  }

  replaced(batch: Batch): Replaced {
    const receipt = new Replaced(batch.items, batch)
    if (batch.watched) this.#pledged.add(receipt)
    return receipt
  }

  #add(held: HeldBatch): HeldBatch {
    this.#live.add(held)
    this.#fresh?.push(held)
    this.bytes += held.bytes
    return held
  }

  #take(batch: Batch): void {
    this.#terms.kept(batch)
    if (this.#unpressed !== undefined && batch.refusable && !this.#hasRoom(batch)) {
      const text = 'what steps hold takes its share of the memory budget; retry later'
      return this.#terms.refuse(batch, new DeliveryError('DELIVERY_MEMORY', 'retry', text))
    }
    const fresh: HeldBatch[] = (this.#fresh = [])
    this.#hand(this.open(batch.compacted(), this.#terms.now(), undefined))
    // Those whose data is kept are answered now, where they are to be: of what was refused they have heard.
    this.#fresh = undefined
    if (!this.#terms.answers()) return
    for (const held of fresh) if (this.#live.has(held)) held.batch = held.batch.taken()
  }

  #hasRoom(batch: Batch): boolean {
    const { limit, pressure } = this.#terms.budget()
    return pressure.held + batch.byteLength <= limit * heldShare
  }

  #hand(held: HeldBatch): void {
    const holder = this.#holder
    if (holder === undefined) return
    this.#depth++
    try {
      holder.take(held)
    } catch (error) {
      this.#lose(held, error)
      // A DeliveryError is no fault but a refusal.
      if (!(error instanceof DeliveryError)) this.#threw(error)
    } finally {
      this.#depth--
      this.#flush()
    }
  }

  /** The step threw on `held`: it is given back, with what was cut from it. */
  #lose(held: HeldBatch, error: unknown): void {
    const gone = Array.from(this.#live).filter(one => one === held || one.root === held)
    for (const one of gone) {
      this.end(one)
      this.#terms.giveBack(one.batch, error)
    }
  }

  #threw(error: unknown): void {
    const now = this.#terms.now()
    this.#terms.fault(error)
    this.#throws = [...this.#throws.filter(at => now - at < minute), now]
    if (this.#throws.length < throwsMost) return
    this.#throws = []
    this.#terms.failing(error)
  }

  #leave(emitted: Emitted): void {
    this.#out.push(emitted)
    if (this.#depth === 0) this.#flush()
  }

  /** Hands on what was emitted, in order; what follows from it may emit more. */
  #flush(): void {
    if (this.#depth > 0 || this.#isFlushing) return
    this.#isFlushing = true
    try {
      while (this.#out.length > 0) this.#handOut()
    } finally {
      this.#isFlushing = false
    }
  }

  #handOut(): void {
    const [first] = this.#out
    if (first === undefined) return
    let count = 0
    let items = 0
    for (const one of this.#out) {
      items += one.batch.items
      if (count > 0 && (items > joinedMost || !goTogether(first, one))) break
      count++
    }
    const batches = this.#out.splice(0, count).map(({ batch }) => batch)
    const next = this.#emit
    const whole = mergeBatches(batches)
    if (first.isMade) this.#terms.made(whole.items)
    if (next === undefined) this.#terms.giveBack(whole, new InternalError('there is no step to hand it on'))
    else this.#terms.offer(whole, next)
  }
}

/** Whether two that leave one after the other may be one: no later component can tell the difference. */
function goTogether(a: Emitted, b: Emitted): boolean {
  if (a.isAlone || b.isAlone || a.isMade !== b.isMade) return false
  const [one, other] = [a.batch.context, b.batch.context]
  return a.batch.signal === b.batch.signal && one.metadata === other.metadata && one.auth === other.auth
}
