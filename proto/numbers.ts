/** Lists of numbers that are filled again and again, and never hold more than they may. */
import { WireError } from './wire.ts'

/** More buckets or quantiles than this in one point are a mistake. */
export const mostNumbers = 10_000

/** A data point has more numbers than it may: it is OTLP, but none that anybody means. */
export class TooManyNumbers extends WireError {
  override name = 'TooManyNumbers'
}

/** Numbers in the order they came; the memory stays for those of the next point. */
export class Numbers {
  values = new Float64Array(32)
  length = 0

  /** @throws TooManyNumbers */
  push(n: number): void {
    if (this.length === this.values.length) this.#grow()
    this.values[this.length++] = n
  }

  #grow(): void {
    if (this.length === mostNumbers)
      throw new TooManyNumbers(`more than ${mostNumbers} buckets or quantiles in a data point`)
    const larger = new Float64Array(Math.min(this.length * 2, mostNumbers))
    larger.set(this.values)
    this.values = larger
  }

  /** A copy that stays as it is. */
  copy(): Float64Array {
    return this.values.slice(0, this.length)
  }

  /** Two and two of them, as quantiles and their values come. */
  *pairs(): Generator<readonly [number, number]> {
    for (let i = 0; i + 1 < this.length; i += 2) yield [this.values[i], this.values[i + 1]]
  }

  /** All of them added up. */
  sum(): number {
    let sum = 0
    for (let i = 0; i < this.length; i++) sum += this.values[i]
    return sum
  }
}
