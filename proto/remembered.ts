/** What was made of the bytes of resources and scopes, to be found again: the same few come with every batch. */

/** Bytes of one key, and of all keys of one table, that are remembered: what is larger, or too much, is made anew each time. */
const longest = 8192
const mostBytes = 512 * 1024

/** Things by the text they were made of. Bounded in number and in bytes, whatever is asked for. */
export class Remembered<T> {
  readonly #most: number
  readonly #things = new Map<string, T>()
  #bytes = 0

  /** `most`: how many things are remembered; with more all are forgotten. */
  constructor(most: number) {
    this.#most = most
  }

  /** How many are remembered. */
  get size(): number {
    return this.#things.size
  }

  /** The thing of that key, if it is remembered. */
  get(key: string): T | undefined {
    return this.#things.get(key)
  }

  /** Remembers a thing under a key that is not there. */
  keep(key: string, thing: T): void {
    if (key.length > longest) return
    if (this.#things.size >= this.#most || this.#bytes + key.length > mostBytes) this.clear()
    this.#things.set(key, thing)
    this.#bytes += key.length
  }

  /** Forgets all. */
  clear(): void {
    this.#things.clear()
    this.#bytes = 0
  }
}
