/** Durations of the last one to two minutes, in buckets a quarter apart: enough to tell a median from a tail. */
const first = 0.1
const growth = 1.25
const size = 80
const window = 60_000

/** Tells quantiles of recent durations. */
export class Latency {
  #current = new Uint32Array(size)
  #previous = new Uint32Array(size)
  #turned = 0

  /** Takes a duration in milliseconds; `now` is milliseconds since the epoch. */
  record(milliseconds: number, now = Date.now()): void {
    this.#turn(now)
    const index = Math.ceil(Math.log(Math.max(milliseconds, first) / first) / Math.log(growth))
    const at = Math.min(index, size - 1)
    this.#current[at] = (this.#current[at] ?? 0) + 1
  }

  /** The duration in milliseconds that `q` (0 to 1) of the recent ones did not exceed; undefined without any. */
  quantile(q: number, now = Date.now()): number | undefined {
    this.#turn(now)
    const counts = this.#current.map((count, i) => count + (this.#previous[i] ?? 0))
    const total = counts.reduce((sum, count) => sum + count, 0)
    if (total === 0) return undefined
    let left = Math.ceil(total * q)
    for (const [i, count] of counts.entries()) {
      left -= count
      if (left <= 0) return first * growth ** i
    }
    return first * growth ** size
  }

  #turn(now: number): void {
    const turn = Math.floor(now / window)
    if (turn === this.#turned) return
    const [old, current] = [this.#previous, this.#current]
    this.#previous = turn === this.#turned + 1 ? current : new Uint32Array(size)
    this.#current = old.fill(0)
    this.#turned = turn
  }
}
