import type { Arena } from './actions.ts'

/** Ranges of bytes that together make a result: found first, then written in one go. Meant to be used again. */
export class Runs {
  /** Bytes of all of them. */
  size = 0
  #count = 0
  readonly #sources: Buffer[] = []
  readonly #starts: number[] = []
  readonly #ends: number[] = []

  /** Adds the bytes between `from` and `to`; neighbours become one run. */
  add(bytes: Buffer, from: number, to: number): void {
    if (to <= from) return
    this.size += to - from
    const last = this.#count - 1
    if (last >= 0 && this.#ends[last] === from && this.#sources[last] === bytes) {
      this.#ends[last] = to
      return
    }
    this.#sources[this.#count] = bytes
    this.#starts[this.#count] = from
    this.#ends[this.#count++] = to
  }

  /** Writes all of them at `at` and returns where they end. */
  write(out: Buffer, at: number): number {
    for (let i = 0; i < this.#count; i++) at += this.#sources[i].copy(out, at, this.#starts[i], this.#ends[i])
    return at
  }

  /** All of them as one text, to be compared. */
  text(): string {
    let text = ''
    for (let i = 0; i < this.#count; i++) text += this.#sources[i].toString('latin1', this.#starts[i], this.#ends[i])
    return text
  }

  /** Makes a result of all of them in `out`. */
  into(out: Arena): void {
    out.begin(this.size)
    out.at = this.write(out.bytes, out.at)
  }

  /** Lets go of all of them. */
  clear(): void {
    this.size = 0
    this.#count = 0
    this.#sources.length = 0
  }
}
