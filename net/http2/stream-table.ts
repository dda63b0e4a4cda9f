/**
 * The open streams of one connection by their numbers. Not a Map: see `Chain`. Numbers only ever grow, so that of those that
 * are open each mostly has a place of its own: half its number, modulo the size of the table.
 */

const emptyPlaces = <T>(length: number): (T | undefined)[] => Array.from({ length })

/** See above. */
export class StreamTable<Stream extends { readonly id: number }> {
  /** As many as a power of two; at least half of them empty. */
  #places: (Stream | undefined)[] = emptyPlaces<Stream>(16)
  #size = 0

  get size(): number {
    return this.#size
  }

  get(id: number): Stream | undefined {
    return this.#places[this.#find(id)]
  }

  /** Puts in `stream`, whose number is not there. */
  add(stream: Stream): void {
    if (2 * (this.#size + 1) > this.#places.length) this.#grow()
    this.#places[this.#find(stream.id)] = stream
    this.#size++
  }

  delete(id: number): void {
    const places = this.#places
    const mask = places.length - 1
    let hole = this.#find(id)
    if (places[hole] === undefined) return
    places[hole] = undefined
    this.#size--
    // Who stands behind because the place was taken moves up.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const stream = places[at]
      if (stream === undefined) return
      const home = (stream.id >>> 1) & mask
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      places[hole] = stream
      places[at] = undefined
      hole = at
    }
  }

  /** All of them, by no order. They may come and go meanwhile. */
  values(): Stream[] {
    return this.#places.filter(one => one !== undefined)
  }

  /** Where the stream is, or the empty place where it would be. */
  #find(id: number): number {
    const places = this.#places
    const mask = places.length - 1
    let at = (id >>> 1) & mask
    for (let one = places[at]; one !== undefined && one.id !== id; one = places[at]) at = (at + 1) & mask
    return at
  }

  #grow(): void {
    const before = this.#places
    this.#places = emptyPlaces<Stream>(2 * before.length)
    for (const stream of before) if (stream !== undefined) this.#places[this.#find(stream.id)] = stream
  }
}
