/** First in, first out, with a cheap way back to the front. */
export class Fifo<T> {
  #items: T[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    // What was taken must not stay alive through the array.
    this.#items[this.#head++] = undefined as T
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) this.#set(this.#items.slice(this.#head))
    else if (this.#head === this.#items.length) this.#set([])
    return item
  }

  peek(): T | undefined {
    return this.#items[this.#head]
  }

  /** Puts `items`, in their order, before the first that does not come before them. Found from the front. */
  insert(items: readonly T[], comesBefore: (item: T) => boolean): void {
    let at = this.#head
    for (const item of this) {
      if (!comesBefore(item)) break
      at++
    }
    const [first] = items
    if (first !== undefined && at === this.#head && items.length === 1 && at > 0) this.#items[--this.#head] = first
    else this.#items.splice(at, 0, ...items)
  }

  /** Puts each of `items` before the first that does not come before it. Both have to be in that order, by `compare`. */
  merge(items: readonly T[], compare: (a: T, b: T) => number): void {
    if (items.length === 0) return
    const merged: T[] = []
    let next = 0
    for (const item of this) {
      for (let one = items[next]; one !== undefined && compare(one, item) <= 0; one = items[++next]) merged.push(one)
      merged.push(item)
    }
    for (const one of items.slice(next)) merged.push(one)
    this.#set(merged)
  }

  /** Removes what `unwanted` says, and returns it. */
  remove(unwanted: (item: T) => boolean): T[] {
    const removed: T[] = []
    const kept: T[] = []
    for (const item of this) (unwanted(item) ? removed : kept).push(item)
    if (removed.length > 0) this.#set(kept)
    return removed
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = this.#head; i < this.#items.length; i++) {
      const item = this.#items[i]
      if (item !== undefined) yield item
    }
  }

  #set(items: T[]): void {
    this.#items = items
    this.#head = 0
  }
}
