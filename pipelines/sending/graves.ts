import { type DeliveryError, messageOf } from '../../core/errors.ts'
import { endBuried } from './ends.ts'
import type { Entry } from './entry.ts'
import type { SenderParts } from './sender-parts.ts'

/** What becomes of an entry that is put aside. */
export interface GravesListener {
  /** It is among the dead letters, and has ended in the books. */
  buried(entry: Entry, reason: string): void
  /** It could not be written; it is `condemned` now, and to be put aside later. */
  notBuried(entry: Entry): void
}

/** Entries on their way to the dead letters. */
export class Graves {
  readonly #parts: SenderParts
  readonly #listener: GravesListener
  readonly #burying = new Set<Entry>()

  constructor(parts: SenderParts, listener: GravesListener) {
    this.#parts = parts
    this.#listener = listener
  }

  get size(): number {
    return this.#burying.size
  }

  [Symbol.iterator](): Iterator<Entry> {
    return this.#burying.values()
  }

  /** Puts aside what the destination will not take, and says whether there is a place for it. */
  bury(entry: Entry, error: DeliveryError, reason: string): boolean {
    const { books, log, deadLetters } = this.#parts
    const { batch } = entry
    const grave = entry.batch.answered ? deadLetters?.() : undefined
    if (grave === undefined) return false
    this.#burying.add(entry)
    grave.append(batch, { owner: `${books.name.id} ${books.name.signal}`, reason, message: error.message }).then(
      () => {
        // A stop may have come first.
        if (!this.#burying.delete(entry)) return
        endBuried(this.#parts, entry, error, reason)
        this.#listener.buried(entry, reason)
      },
      (cause: unknown) => {
        if (!this.#burying.delete(entry)) return
        batch.keepFromPool()
        entry.condemned = { error, reason }
        log.warn({ error: messageOf(cause) }, 'dead letters take nothing: trying again')
        this.#listener.notBuried(entry)
      },
    )
    return true
  }

  /** Waits for none of them any more. Returns them. */
  giveUp(): Entry[] {
    const left = [...this.#burying]
    this.#burying.clear()
    for (const { batch } of left) batch.keepFromPool()
    return left
  }
}
