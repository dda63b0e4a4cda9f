/** Gathers own items until somebody takes them: one batch at a time, the rest waits or is dropped. */

import type { Clock, Timer } from '../core/clock.ts'

/** How much is gathered. */
export interface GatherLimits {
  /** Milliseconds between two looks. */
  readonly interval: number
  /** Items of one batch. */
  readonly most: number
  /** Items that may wait. */
  readonly room: number
}

/** A short list of items that wait to be taken. */
export class OwnGatherer {
  readonly #clock: Clock
  readonly #limits: GatherLimits
  /** Takes a batch; resolves when it may be given the next. Must not reject. */
  readonly #take: (items: readonly Buffer[]) => Promise<void>
  readonly #drop: (items: number) => void
  #waiting: Buffer[] = []
  #timer: Timer | undefined
  #busy: Promise<void> | undefined
  #ended = false

  constructor(
    clock: Clock,
    limits: GatherLimits,
    take: (items: readonly Buffer[]) => Promise<void>,
    drop: (items: number) => void,
  ) {
    this.#clock = clock
    this.#limits = limits
    this.#take = take
    this.#drop = drop
  }

  /** Takes one item; does not wait. */
  readonly add = (item: Buffer): void => {
    if (this.#ended || this.#waiting.length >= this.#limits.room) return this.#drop(1)
    this.#waiting.push(item)
    this.#later()
  }

  /** Gives what waits, unless the batch before is not taken yet. */
  flush(): void {
    if (this.#busy !== undefined || this.#waiting.length === 0) return
    const items = this.#waiting.splice(0, this.#limits.most)
    this.#busy = this.#take(items).finally(() => {
      this.#busy = undefined
      if (this.#ended || this.#waiting.length >= this.#limits.most) this.flush()
      else if (this.#waiting.length > 0) this.#later()
    })
  }

  #later(): void {
    this.#timer ??= this.#clock.after(this.#limits.interval, () => {
      this.#timer = undefined
      this.flush()
    })
  }

  /** Takes no more and gives the rest; resolves when that was taken. */
  async stop(): Promise<void> {
    this.#ended = true
    this.#timer?.cancel()
    this.flush()
    while (this.#busy !== undefined) await this.#busy
  }
}
