/** What becomes of what a destination refuses for good. */
import { examineBatch, type ExaminedBatch } from '../../core/examining.ts'
import { type DeliveryError, messageOf } from '../../core/errors.ts'
import { NoRoomError } from '../../proto/purse.ts'
import type { Claim } from './claim.ts'
import { endMalformed, endRejected } from './ends.ts'
import { bisect, type Entry } from './entry.ts'
import type { Graves } from './graves.ts'
import type { SenderParts } from './sender-parts.ts'

/** Why it is refused, in the words of the books. */
export type RefusedFor = 'rejected' | 'too_large'

/** Something refused, and what was said. */
interface Refused {
  readonly entry: Entry
  readonly error: DeliveryError
  readonly reason: RefusedFor
}

/** So many refused in a row are hardly all at fault. */
const notTheData = 5

/** A look at a batch. */
type Steps = ReturnType<typeof examineBatch>

/** Who sends what is left, and hears what has ended. */
export interface RejectionsListener {
  /** These are to be sent in the place of what was refused. */
  again(entries: readonly Entry[]): void
  /** It could not be looked at now. */
  later(entry: Entry): void
  /** `isRefused`: the destination has seen it and does not want it. */
  ended(entry: Entry, isRefused: boolean): void
}

/**
 * First we look ourselves for what the destination cannot have read: that is taken out, and the rest sent once more. Only where
 * nothing is found it is asked about the pieces, in a bounded number of sends. Until something is taken, one search goes on, one
 * piece at a time; what else is refused meanwhile waits. Where a search ended without anything taken, none begins any more until
 * something is.
 */
export class Rejections {
  readonly #parts: SenderParts
  readonly #graves: Graves
  readonly #listener: RejectionsListener
  readonly #examining = new Map<Entry, Steps>()
  /** What is searched, as long as nothing was taken since the search began. */
  #search: Claim | undefined
  /** Pieces of it that are sent when the one under way has ended; the next one last. */
  #held: Entry[] = []
  #waiting: Refused[] = []
  #isFutile = false
  /** Refused for good in a row, with nothing taken between. */
  #inRow = 0

  constructor(parts: SenderParts, graves: Graves, listener: RejectionsListener) {
    this.#parts = parts
    this.#graves = graves
    this.#listener = listener
  }

  get size(): number {
    return this.#examining.size + this.#held.length + this.#waiting.length
  }

  *[Symbol.iterator](): Generator<Entry> {
    yield* this.#examining.keys()
    yield* this.#held
    for (const { entry } of this.#waiting) yield entry
  }

  /** The destination does not take `entry`, whatever comes. */
  refused(entry: Entry, error: DeliveryError, reason: RefusedFor): void {
    const refused = { entry, error, reason }
    // Part of it is taken, and only its exporter knows which: pieces of it would be sent twice.
    if (entry.memo !== undefined) return this.#reject(refused)
    if (reason === 'too_large' || entry.examined) return this.#cut(refused)
    const budget = this.#parts.budget()
    const steps = examineBatch(entry.batch, budget)
    this.#examining.set(entry, steps)
    budget.turns.start(this.#examine(refused, steps))
  }

  /** It took something: what was refused is looked into further, in whatever number there is. */
  succeeded(): void {
    this.#isFutile = false
    this.#inRow = 0
    if (this.#search === undefined && this.#waiting.length === 0) return
    this.#search = undefined
    const held = this.#held.splice(0).toReversed()
    if (held.length > 0) this.#listener.again(held)
    for (const refused of this.#waiting.splice(0)) this.#cut(refused)
  }

  /** A piece of `claim` ended, maybe the last. `isRefused`: because it was refused. */
  ended(claim: Claim, isLast: boolean, isRefused: boolean): void {
    if (this.#search !== claim) return
    const next = this.#held.pop()
    if (next !== undefined) return this.#listener.again([next])
    if (!isLast) return
    this.#search = undefined
    if (isRefused && !claim.delivered) this.#isFutile = true
    for (const refused of this.#waiting.splice(0)) this.#cut(refused)
  }

  /** What waits here is somebody else's to send. What is being looked at stays. */
  release(): Entry[] {
    this.#search = undefined
    return [...this.#held.splice(0), ...this.#waiting.splice(0).map(({ entry }) => entry)]
  }

  /** Nothing is waited for any more. Returns all that is here. */
  giveUp(): Entry[] {
    const examining = [...this.#examining.keys()]
    for (const steps of this.#examining.values()) steps.return(undefined)
    this.#examining.clear()
    return [...examining, ...this.release()]
  }

  *#examine(refused: Refused, steps: Steps): Generator<undefined, void> {
    const { entry } = refused
    let found: ExaminedBatch | undefined
    try {
      for (let step = steps.next(); ; step = steps.next()) {
        if (step.done === true) {
          found = step.value
          break
        }
        yield
      }
    } catch (error) {
      if (this.#examining.delete(entry)) this.#notExamined(refused, error)
      return
    }
    if (!this.#examining.delete(entry)) return
    entry.examined = true
    if (found === undefined) this.#cut(refused)
    else this.#takeOut(entry, found)
  }

  #notExamined(refused: Refused, error: unknown): void {
    const { books, log } = this.#parts
    if (error instanceof NoRoomError) return this.#listener.later(refused.entry)
    books.internalFaults++
    log.error({ error: messageOf(error) }, 'what was rejected could not be looked at')
    refused.entry.examined = true
    this.#cut(refused)
  }

  #takeOut(entry: Entry, { rest, malformed, mended }: ExaminedBatch): void {
    const { log, books } = this.#parts
    for (const { batch, reason } of malformed) {
      endMalformed(this.#parts, entry.claim, batch, reason)
      for (const { origin } of batch.shares) origin.standing?.sentMalformed(origin.metadata)
    }
    const [first] = malformed
    if (first !== undefined) {
      const items = malformed.reduce((sum, { batch }) => sum + batch.items, 0)
      const fields = { items, requests: malformed.length, peer: first.batch.context.peer, error: first.reason }
      log.warn(fields, 'a sender sent malformed data, which the destination rejected: taken out')
    }
    if (mended > 0) {
      books.mended += mended
      log.warn({ items: mended }, 'text that is no UTF-8 was mended, as the destination rejected it')
    }
    if (rest === undefined) return this.#listener.ended(entry, false)
    entry.batch = rest
    entry.memo = undefined
    entry.claim.sendsLeft--
    this.#listener.again([entry])
  }

  #cut(refused: Refused): void {
    const { entry, error, reason } = refused
    const { claim, batch } = entry
    if (!claim.bisected) {
      if (this.#isFutile || batch.items < 2) return this.#reject(refused)
      if (this.#search !== undefined) return void this.#waiting.push(refused)
      this.#search = claim
    }
    const isUnbound = error.kind === 'too_large' && claim.delivered
    const pieces = bisect(entry, this.#parts.config.retry_on_failure, { isUnbound })
    if (pieces === undefined) return this.#reject({ entry, error, reason })
    if (this.#search !== claim) return this.#listener.again(pieces)
    this.#held.push(...pieces.slice(1).toReversed())
    this.#listener.again(pieces.slice(0, 1))
  }

  #reject({ entry, error, reason }: Refused): void {
    if (++this.#inRow >= notTheData) this.#parts.status.set('RecoverableError', `takes nothing: ${error.message}`)
    if (this.#graves.bury(entry, error, reason)) return
    endRejected(this.#parts, entry, error, reason)
    this.#listener.ended(entry, true)
  }
}
