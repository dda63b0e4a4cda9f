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

  /** Starts `work`: its first step is taken in a later turn. */
  start(work: Work): void {
    this.#waiting.push(work)
    if (this.#due) return
    this.#due = true
    setImmediate(this.#run)
  }

  readonly #run = (): void => {
    const end = performance.now() + turn
    try {
      do {
        const work = this.#waiting.shift()
        if (work?.next().done === false) this.#waiting.push(work)
      } while (this.#waiting.length > 0 && performance.now() < end)
    } finally {
      this.#due = this.#waiting.length > 0
      if (this.#due) setImmediate(this.#run)
    }
  }
}
