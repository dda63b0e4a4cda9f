/** What is done to the disk: one job after the other, as long as there is one. */

/** One piece of work. */
export type Job = () => Promise<unknown>

/** What jobs are of. */
export interface JobTerms {
  next(): Job | undefined
  /** Whether the disk was given up on while the last job ran. */
  isHung(): boolean
  fail(error: unknown): void
  /** There is no job any more. */
  idle(): void
}

/** See above. */
export class Jobs {
  readonly #terms: JobTerms
  #isRunning = false
  #isScheduled = false

  constructor(terms: JobTerms) {
    this.#terms = terms
  }

  /** There may be something to do. */
  wake(): void {
    if (this.#isRunning || this.#isScheduled) return
    this.#isScheduled = true
    // After what this turn of the event loop brings in, so that all of it is written at once.
    setImmediate(() => {
      this.#isScheduled = false
      void this.#run()
    })
  }

  async #run(): Promise<void> {
    const terms = this.#terms
    this.#isRunning = true
    for (let job = terms.next(); job !== undefined; job = terms.next()) {
      try {
        await job()
        if (terms.isHung()) throw new Error('the disk took too long')
      } catch (error) {
        terms.fail(error)
      }
    }
    this.#isRunning = false
    terms.idle()
  }
}
