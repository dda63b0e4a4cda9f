/** Values by their texts, any number of them: a `Map` of a million moves all of it in one step when it grows, for 100 ms and more. */
import { randomBytes } from 'node:crypto'

/** Entries in the order they came; a `Map` of twice as many moves them within some five milliseconds. */
const mostInOrder = 32_768
/** Parts of the rest. */
const parts = 64

/** Like a `Map`: the first 32,768 entries in the order they came, more of them in no order. */
export class TextTable<V> {
  size = 0
  readonly #first = new Map<string, V>()
  /** The rest, by a hash that nobody outside can know. */
  #rest: readonly Map<string, V>[] | undefined
  readonly #seed = randomBytes(4).readInt32LE()

  get(text: string): V | undefined {
    return this.#first.get(text) ?? this.#part(text)?.get(text)
  }

  set(text: string, value: V): void {
    const known = this.#holding(text)
    if (known !== undefined) known.set(text, value)
    else {
      const isFull = this.#first.size >= mostInOrder
      if (isFull) this.#rest ??= Array.from({ length: parts }, () => new Map<string, V>())
      const part = (isFull ? this.#part(text) : undefined) ?? this.#first
      part.set(text, value)
      this.size++
    }
  }

  delete(text: string): boolean {
    const isGone = this.#holding(text)?.delete(text) === true
    if (isGone) this.size--
    if (this.size === 0) this.#rest = undefined
    return isGone
  }

  /** All values; what comes meanwhile may be among them. */
  *values(): Generator<V, void> {
    yield* this.#first.values()
    for (const part of this.#rest ?? []) yield* part.values()
  }

  #holding(text: string): Map<string, V> | undefined {
    if (this.#first.has(text)) return this.#first
    const part = this.#part(text)
    return part?.has(text) === true ? part : undefined
  }

  #part(text: string): Map<string, V> | undefined {
    const rest = this.#rest
    if (rest === undefined) return undefined
    let hash = this.#seed
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193)
    return rest[(hash ^ (hash >>> 15)) & (parts - 1)]
  }
}
