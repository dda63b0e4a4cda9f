/** The spans of one resource by trace and by id, in typed arrays that are used again: nothing is made for a span. */
import { larger } from './traces-attributes.ts'
import { bigEndian, idAt } from './traces-span.ts'
import { Cursor, LENGTH } from '../../proto/wire.ts'

/** Why a span cannot be sent. */
export type SpanFault = 'invalid_id' | undefined

/** Spans, numbered in the order they were added, and their traces. */
export class TraceIndex {
  count = 0
  starts = new Int32Array(64)
  ends = new Int32Array(64)
  scopes = new Int32Array(64)
  /** The next span of the same trace plus 1; 0: it is the last. */
  next = new Int32Array(64)
  traceOf = new Int32Array(64)
  traces = 0
  /** First and last span of each trace. */
  heads = new Int32Array(64)
  readonly #seed = Math.trunc(Math.random() * 0x1_0000_0000) | 0
  #tails = new Int32Array(64)
  /** Lower half of the trace's id, the span's id, its parent's id: two numbers each. */
  #ids = new Int32Array(64 * 6)
  #traceSlots = new Int32Array(256)
  #spanSlots = new Int32Array(256)
  readonly #cursor = new Cursor(Buffer.alloc(0))

  clear(): void {
    this.count = this.traces = 0
    this.#traceSlots.fill(0)
    this.#spanSlots.fill(0)
  }

  /** Adds a span by its bytes; says why not where it cannot be sent. @throws WireError */
  add(bytes: Buffer, start: number, end: number, scope: number): SpanFault {
    let trace = -1
    let span = -1
    let parent = -1
    const cursor = this.#cursor.set(bytes, start, end)
    while (cursor.at < end) {
      const tag = cursor.tag()
      if ((tag & 7) !== LENGTH) {
        cursor.skip(tag)
        continue
      }
      const length = cursor.length()
      const { at } = cursor
      cursor.at = at + length
      if (tag === 0x0a) trace = idAt(bytes, at, at + length, 16)
      else if (tag === 0x12) span = idAt(bytes, at, at + length, 8)
      else if (tag === 0x22) parent = idAt(bytes, at, at + length, 8)
    }
    if (trace < 0 || span < 0 || idAt(bytes, trace + 8, trace + 16, 8) < 0) return 'invalid_id'
    this.#put(bytes, start, end, scope, trace, span, parent)
    return undefined
  }

  #put(bytes: Buffer, start: number, end: number, scope: number, trace: number, span: number, parent: number): void {
    if (this.count === this.starts.length) this.#grow()
    const i = this.count++
    this.starts[i] = start
    this.ends[i] = end
    this.scopes[i] = scope
    this.next[i] = 0
    const ids = this.#ids
    ids[i * 6] = bigEndian(bytes, trace + 8)
    ids[i * 6 + 1] = bigEndian(bytes, trace + 12)
    ids[i * 6 + 2] = bigEndian(bytes, span)
    ids[i * 6 + 3] = bigEndian(bytes, span + 4)
    ids[i * 6 + 4] = parent < 0 ? 0 : bigEndian(bytes, parent)
    ids[i * 6 + 5] = parent < 0 ? 0 : bigEndian(bytes, parent + 4)
    this.#chain(i)
    this.#note(i)
  }

  /** Puts the span behind the others of its trace. */
  #chain(i: number): void {
    const slots = this.#traceSlots
    const mask = slots.length - 1
    let slot = this.#hash(i, 0) & mask
    for (; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const trace = slots[slot] - 1
      if (!this.#equal(this.heads[trace], 0, i, 0)) continue
      this.next[this.#tails[trace]] = i + 1
      this.#tails[trace] = i
      this.traceOf[i] = trace
      return
    }
    const trace = this.traces++
    slots[slot] = trace + 1
    this.heads[trace] = this.#tails[trace] = i
    this.traceOf[i] = trace
  }

  /** Makes the span known by its id; of several with one id it is the last that is known. */
  #note(i: number): void {
    const slots = this.#spanSlots
    const mask = slots.length - 1
    let slot = this.#hash(i, 2) & mask
    while (slots[slot] !== 0 && !this.#equal(slots[slot] - 1, 2, i, 2)) slot = (slot + 1) & mask
    slots[slot] = i + 1
  }

  #hash(i: number, which: number): number {
    const ids = this.#ids
    let h = Math.imul(ids[i * 6 + which] ^ this.#seed, 0x9e3779b1) ^ ids[i * 6 + which + 1]
    h = Math.imul(h ^ (h >>> 15), 0x85ebca6b)
    return h ^ (h >>> 13)
  }

  #equal(i: number, which: number, j: number, other: number): boolean {
    const ids = this.#ids
    return ids[i * 6 + which] === ids[j * 6 + other] && ids[i * 6 + which + 1] === ids[j * 6 + other + 1]
  }

  /** Whether the span says that it has no parent. */
  isRoot(i: number): boolean {
    return this.#ids[i * 6 + 4] === 0 && this.#ids[i * 6 + 5] === 0
  }

  /** The span's parent, where that is here and of the same trace; else -1. */
  parent(i: number): number {
    if (this.isRoot(i)) return -1
    const slots = this.#spanSlots
    const mask = slots.length - 1
    for (let slot = this.#hash(i, 4) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const found = slots[slot] - 1
      if (this.#equal(found, 2, i, 4)) return this.traceOf[found] === this.traceOf[i] ? found : -1
    }
    return -1
  }

  /** The span at the top of a trace: the last without a parent, else the first whose parent is not here. */
  root(trace: number): number {
    let orphan = -1
    let root = -1
    for (let i = this.heads[trace]; ; i = this.next[i] - 1) {
      if (this.isRoot(i)) root = i
      else if (orphan < 0 && this.parent(i) < 0) orphan = i
      if (this.next[i] === 0) return root >= 0 ? root : orphan >= 0 ? orphan : i
    }
  }

  #grow(): void {
    const size = this.starts.length * 2
    this.starts = larger(this.starts, size)
    this.ends = larger(this.ends, size)
    this.scopes = larger(this.scopes, size)
    this.next = larger(this.next, size)
    this.traceOf = larger(this.traceOf, size)
    this.heads = larger(this.heads, size)
    this.#tails = larger(this.#tails, size)
    this.#ids = larger(this.#ids, size * 6)
    this.#traceSlots = new Int32Array(size * 4)
    this.#spanSlots = new Int32Array(size * 4)
    const mask = size * 4 - 1
    for (let trace = 0; trace < this.traces; trace++) {
      let slot = this.#hash(this.heads[trace], 0) & mask
      while (this.#traceSlots[slot] !== 0) slot = (slot + 1) & mask
      this.#traceSlots[slot] = trace + 1
    }
    for (let i = 0; i < this.count; i++) this.#note(i)
  }
}
