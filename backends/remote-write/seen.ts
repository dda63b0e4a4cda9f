/** Places that are always kept. */
const most = 1 << 16

/** Which series a batch had so far, and up to which time. Two that are taken for one cost time, not data. */
export class SeenSeries {
  #keys = new Int32Array(1024)
  #times = new Float64Array(1024)
  /** The batch that a place was last used in. */
  #stamps = new Int32Array(1024)
  #stamp = 0
  #size = 0

  /** For the next batch. */
  clear(): void {
    // What one large batch needed is not kept for small ones.
    if (this.#keys.length > most && this.#size * 8 < this.#keys.length) {
      this.#keys = new Int32Array(1024)
      this.#times = new Float64Array(1024)
      this.#stamps = new Int32Array(1024)
    }
    this.#stamp++
    this.#size = 0
  }

  /** Whether that time lies before the latest of the series; remembers it otherwise. */
  before(key: number, time: number): boolean {
    if (this.#size * 2 >= this.#keys.length) this.#grow()
    const slot = this.#slot(key)
    if (this.#stamps[slot] === this.#stamp) {
      if (time < this.#times[slot]) return true
      this.#times[slot] = time
      return false
    }
    this.#stamps[slot] = this.#stamp
    this.#keys[slot] = key
    this.#times[slot] = time
    this.#size++
    return false
  }

  #slot(key: number): number {
    const mask = this.#keys.length - 1
    let slot = (key ^ (key >>> 15)) & mask
    while (this.#stamps[slot] === this.#stamp && this.#keys[slot] !== key) slot = (slot + 1) & mask
    return slot
  }

  #grow(): void {
    const keys = this.#keys
    const times = this.#times
    const stamps = this.#stamps
    const length = keys.length * 2
    this.#keys = new Int32Array(length)
    this.#times = new Float64Array(length)
    this.#stamps = new Int32Array(length)
    for (let i = 0; i < keys.length; i++) {
      if (stamps[i] !== this.#stamp) continue
      const slot = this.#slot(keys[i])
      this.#stamps[slot] = this.#stamp
      this.#keys[slot] = keys[i]
      this.#times[slot] = times[i]
    }
  }
}
