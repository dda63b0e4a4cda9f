/** Batches on their way into a table: small ones at once, large ones in turns, one after the other. */
import type { Batch } from '../../core/batch.ts'
import type { Sent } from '../../core/component.ts'
import type { Turns } from '../../core/turns.ts'
import type { Ingest } from './ingest.ts'

/** A batch that is taken, or waits to be. */
interface Taking {
  readonly steps: Iterator<undefined, Sent | undefined>
  resolve(sent: Sent | undefined): void
  reject(error: unknown): void
}

/** In front of everything that goes into one table, also while one instance of the exporter follows another. */
export class Intake {
  readonly #ingest: Ingest
  readonly #turns: Turns
  readonly #waiting: Taking[] = []

  constructor(ingest: Ingest, turns: Turns) {
    this.#ingest = ingest
    this.#turns = turns
  }

  /** Takes all points of a batch, heard of at `now`; resolves to what was not taken. */
  async take(batch: Batch, now: number): Promise<Sent | undefined> {
    const steps = this.#ingest.take(batch, now)
    if (this.#waiting.length === 0) {
      const { done, value } = steps.next()
      if (done === true) return value
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ steps, resolve, reject })
      if (this.#waiting.length === 1) this.#turns.start(this.#all())
    })
  }

  *#all(): Generator<undefined, void> {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const { steps, resolve, reject } = first
      try {
        let step = steps.next()
        for (; step.done !== true; step = steps.next()) yield
        resolve(step.value)
      } catch (error) {
        reject(error)
      }
      this.#waiting.shift()
    }
  }
}
