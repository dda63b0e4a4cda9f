/** How far a source that is read has come: a position moves on once everything before it has ended for good. */
import type { Ended } from './delivery.ts'
import type { DeliveryError } from './errors.ts'

/** Where positions are kept. */
export interface PositionStore {
  /** Resolves when the value, or a newer one, is on disk. */
  put(key: string, value: Buffer): Promise<void>
}

/** What a mark is of. */
export interface MarkTerms<P> {
  /** Without one, positions live as long as the process. */
  readonly store: PositionStore | undefined
  readonly key: string
  encode(position: P): Buffer
  /** What was handed in has to be read again, from `position` on. */
  onAgain(error: DeliveryError): void
  /** The position could not be kept; it is tried again with the next. */
  onFailure(error: unknown): void
}

/** What was read up to a position. */
interface Stretch<P> {
  readonly position: P
  open: number
}

/** The mark of one thing that is read in order: a file, a partition. */
export class Mark<P> {
  readonly #terms: MarkTerms<P>
  readonly #stretches: Stretch<P>[] = []
  #position: P
  /** What is on disk is older than the position. */
  #isBehind = false
  #writing: Promise<void> | undefined
  #isClosed = false
  #idle: (() => void) | undefined

  /** Reading begins at `start`. */
  constructor(start: P, terms: MarkTerms<P>) {
    this.#position = start
    this.#terms = terms
  }

  /** Everything before it has ended for good. */
  get position(): P {
    return this.#position
  }

  /** Stretches that have not ended. */
  get open(): number {
    return this.#stretches.length
  }

  /**
   * What is read next ends at `position`: as many requests as are said are handed in, and the end of each is told to what
   * this returns. With none of them the position is reached once all before is.
   */
  begin(position: P, requests: number): (end: Ended) => void {
    const stretch = { position, open: requests }
    this.#stretches.push(stretch)
    if (requests === 0) this.#advance()
    return end => this.#ended(stretch, end)
  }

  /**
   * Nothing more is read. Resolves when all that was read has ended and its position is kept, or with `late`; what ends
   * after that moves nothing.
   */
  async close(late: Promise<unknown>): Promise<void> {
    const ended = new Promise<void>(resolve => {
      if (this.#stretches.length === 0 || this.#isClosed) resolve()
      else this.#idle = resolve
    })
    await Promise.race([ended, late])
    this.#isClosed = true
    await Promise.race([this.#writing, late])
  }

  #ended(stretch: Stretch<P>, end: Ended): void {
    if (this.#isClosed) return
    if (end.again) {
      // What comes after it does not move the position either: it is read again with it.
      this.#isClosed = true
      this.#idle?.()
      this.#terms.onAgain(end.error)
      return
    }
    stretch.open--
    this.#advance()
  }

  #advance(): void {
    let isMoved = false
    for (let first = this.#stretches[0]; first !== undefined && first.open <= 0; first = this.#stretches[0]) {
      this.#stretches.shift()
      this.#position = first.position
      isMoved = true
    }
    if (isMoved) this.#keep()
    if (this.#stretches.length === 0) this.#idle?.()
  }

  /** One write under way; the newest position wins. */
  #keep(): void {
    const { store } = this.#terms
    if (store === undefined) return
    this.#isBehind = true
    this.#writing ??= this.#write(store).finally(() => {
      this.#writing = undefined
    })
  }

  async #write(store: PositionStore): Promise<void> {
    while (this.#isBehind) {
      this.#isBehind = false
      try {
        await store.put(this.#terms.key, this.#terms.encode(this.#position))
      } catch (error) {
        this.#terms.onFailure(error)
        return
      }
    }
  }
}
