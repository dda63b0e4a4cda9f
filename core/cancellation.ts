/** That nobody waits any more for something. */

/** Is told so. */
export interface Cancellable {
  cancelled(reason: unknown): void
}

/**
 * What an AbortSignal says, for what is asked for with every request: a signal makes tables and listeners for each, which
 * cost more than the rest of a call and outlive it.
 */
export interface Cancellation {
  readonly isCancelled: boolean
  /** Why; undefined before. */
  readonly reason: unknown
  /** Tells `one` when it happens: once, and not where it has happened already. */
  watch(one: Cancellable): void
  unwatch(one: Cancellable): void
}

/** What a signal does with a throw of whoever hears it. */
function rethrow(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

/** Whoever decides it. */
export class Canceller implements Cancellation {
  readonly #onFault: (error: unknown) => void
  #isCancelled = false
  #reason: unknown
  /** Most have one at a time. */
  #one: Cancellable | undefined
  #others: Cancellable[] | undefined
  #controller: AbortController | undefined

  /** `onFault` hears what those who are told throw, which keeps nothing from the others. */
  constructor(onFault: (error: unknown) => void = rethrow) {
    this.#onFault = onFault
  }

  get isCancelled(): boolean {
    return this.#isCancelled
  }

  get reason(): unknown {
    return this.#reason
  }

  /** The same for those who know signals; made when it is asked for. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#isCancelled) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  watch(one: Cancellable): void {
    if (this.#isCancelled) return
    if (this.#one === undefined) this.#one = one
    else (this.#others ??= []).push(one)
  }

  unwatch(one: Cancellable): void {
    if (this.#one === one) this.#one = this.#others?.pop()
    else this.#others = this.#others?.filter(other => other !== one)
  }

  cancel(reason: unknown = new Error('nobody waits for it any more')): void {
    if (this.#isCancelled) return
    this.#isCancelled = true
    this.#reason = reason
    const all = this.#one === undefined ? [] : [this.#one, ...(this.#others ?? [])]
    this.#one = this.#others = undefined
    for (const one of all) {
      try {
        one.cancelled(reason)
      } catch (error) {
        this.#onFault(error)
      }
    }
    this.#controller?.abort(reason)
  }
}
