/** Milliseconds that long work may take of one turn of the event loop. */
const turn = 8

/** Work in steps that take a short while each. It ends by itself or by `return`, and handles its own errors. */
export type Work = Iterator<unknown, unknown>

/**
 * Long work takes turns: between two turns the event loop sees to everything else, and all that is long shares one turn,
 * so that many large requests at once hold up nobody longer than one does. One per process.
 */
export class Turns {
  readonly #waiting: Work[] = []
  #due = false
  /** Until when this turn takes steps as they come; 0 before the first of the turn. */
  #end = 0
  readonly #now: () => number

  /** `now` tells milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Milliseconds, from whenever. */
  now(): number {
    return this.#now()
  }

  /** Starts `work`: its first step is taken in a later turn. */
  start(work: Work): void {
    this.#waiting.push(work)
    this.#schedule()
  }

  /**
   * Takes the steps of `work` at once, as long as nobody waits and this turn has time left; the rest in later turns. For
   * what is short nearly always: what one read of a socket brought.
   */
  enter(work: Work): void {
    if (this.#waiting.length === 0) {
      let now = this.#now()
      if (this.#end === 0) {
        this.#end = now + turn
        this.#schedule()
      }
      for (; now < this.#end; now = this.#now()) if (work.next().done === true) return
    }
    this.#waiting.push(work)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#due) return
    this.#due = true
    setImmediate(this.#run)
  }

  readonly #run = (): void => {
    this.#end = 0
    this.#due = false
    if (this.#waiting.length === 0) return
    const end = this.#now() + turn
    try {
      do {
        const work = this.#waiting.shift()
        if (work?.next().done === false) this.#waiting.push(work)
      } while (this.#waiting.length > 0 && this.#now() < end)
    } finally {
      if (this.#waiting.length > 0) this.#schedule()
    }
  }
}
