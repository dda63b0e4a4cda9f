/** A growing set of whole numbers from 1 on, of which most are in: the lowest that is not, and runs above it. */
import { elementAt } from '../../core/element-at.ts'

export class Spans {
  /** All up to here are in. */
  low: number
  /** First and last of each run above, in order, none touching another. */
  readonly #runs: number[]

  constructor(low = 0, runs: readonly number[] = []) {
    this.low = low
    this.#runs = [...runs]
  }

  get runs(): readonly number[] {
    return this.#runs
  }

  has(n: number): boolean {
    if (n <= this.low) return true
    const first = this.#runs[this.#after(n)]
    return first !== undefined && first <= n
  }

  /** Adds all from `from` to `to`. */
  add(from: number, to = from): void {
    if (to <= this.low) return
    if (from <= this.low + 1) {
      this.low = to
      this.#swallow()
      return
    }
    const runs = this.#runs
    // The first run that this touches or lies before, and the first that lies wholly behind it.
    const first = this.#after(from - 1)
    let behind = first
    let [start, end] = [from, to]
    for (let run = this.#run(behind); run !== undefined && run.first <= to + 1; run = this.#run(behind)) {
      start = Math.min(start, run.first)
      end = Math.max(end, run.last)
      behind += 2
    }
    runs.splice(first, behind - first, start, end)
  }

  /** Runs that have come to touch the lower part become part of it. */
  #swallow(): void {
    const runs = this.#runs
    let i = 0
    for (let run = this.#run(i); run !== undefined && run.first <= this.low + 1; run = this.#run(i)) {
      this.low = Math.max(this.low, run.last)
      i += 2
    }
    if (i > 0) runs.splice(0, i)
  }

  /** The run at an index; undefined behind the last. */
  #run(index: number): { readonly first: number; readonly last: number } | undefined {
    const [first, last] = [this.#runs[index], this.#runs[index + 1]]
    return first === undefined || last === undefined ? undefined : { first, last }
  }

  /** Index of the first run that ends at `n` or behind it. */
  #after(n: number): number {
    const runs = this.#runs
    let [from, to] = [0, runs.length / 2]
    while (from < to) {
      const middle = (from + to) >> 1
      if (elementAt(runs, 2 * middle + 1) < n) from = middle + 1
      else to = middle
    }
    return 2 * from
  }
}
