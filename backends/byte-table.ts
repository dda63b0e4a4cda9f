/** A hash table whose keys are ranges of bytes, so that what was seen before is found without a string or an object. */

import { endless, type Room } from '../proto/room.ts'

/** How far is looked for a free place; where that finds none the key is not kept. Keys made to collide cost no more than this. */
const mostProbes = 32

/** Salt of numbers that belong to no key. */
const RESERVED = -0x8000_0000

/** A hash of the bytes from `start` to `end`. */
export function hashBytes(view: DataView, start: number, end: number, seed: number): number {
  let h = seed ^ (end - start)
  let at = start
  for (const last = end - 4; at <= last; at += 4) {
    h = Math.imul(h ^ Math.imul(view.getInt32(at, true), 0xcc9e2d51), 0x1b873593)
    h = (h << 13) | (h >>> 19)
  }
  for (; at < end; at++) h = Math.imul(h ^ view.getUint8(at), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** The view of a buffer's bytes, with the same offsets. */
export const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView => new DataView(buffer, byteOffset, length)

/** Numbers its keys in the order they came, from 0. A key is a range of bytes and a number, the salt. */
export class ByteTable {
  /** How many keys there are. */
  size = 0
  /** Bytes of all keys. */
  used = 0
  readonly #room: Room
  /** Bytes taken of it: what the table has grown by. */
  #taken = 0
  readonly #seed = Math.trunc(Math.random() * 0x1_0000_0000) | 0
  /** Entry + 1; 0 is free. */
  #slots = new Int32Array(256)
  #hashes = new Int32Array(128)
  #salts = new Int32Array(128)
  /** Where each key starts; it ends where the next one starts. */
  #starts = new Int32Array(129)
  #keys = Buffer.allocUnsafeSlow(4096)
  #view = viewOf(this.#keys)

  /** `room`: where memory for keys is taken; with none left keys are not added any more. */
  constructor(room: Room = endless) {
    this.#room = room
  }

  /** The hash to look a key up with. */
  hash(view: DataView, start: number, end: number, salt: number): number {
    return hashBytes(view, start, end, this.#seed ^ Math.imul(salt, 0x9e3779b1))
  }

  /** The number of a key, or -1. `view` is of the bytes that the range is in. */
  find(hash: number, view: DataView, start: number, end: number, salt: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let i = 0, slot = hash & mask; i < mostProbes; i++, slot = (slot + 1) & mask) {
      const entry = slots[slot] - 1
      if (entry < 0) return -1
      if (this.#hashes[entry] === hash && this.#salts[entry] === salt && this.#same(entry, view, start, end)) {
        return entry
      }
    }
    return -1
  }

  /** Adds a key that is not there yet, and gives its number; -1 where there is no place or no room for it. */
  add(hash: number, bytes: Uint8Array, start: number, end: number, salt: number): number {
    if (this.size * 2 >= this.#slots.length && !this.#grow()) return -1
    if (this.used + end - start > this.#keys.length && !this.#widen(this.used + end - start)) return -1
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hash & mask
    for (let i = 0; slots[slot] !== 0; i++, slot = (slot + 1) & mask) if (i === mostProbes) return -1
    const entry = this.size++
    slots[slot] = entry + 1
    this.#hashes[entry] = hash
    this.#salts[entry] = salt
    const at = this.used
    this.used = at + end - start
    this.#keys.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), at)
    this.#starts[entry + 1] = this.used
    return entry
  }

  /** A number that belongs to no key, whether there is room or not. */
  reserve(): number {
    if (this.size * 2 >= this.#slots.length) this.#grow(true)
    this.#starts[this.size + 1] = this.used
    this.#hashes[this.size] = 0
    this.#salts[this.size] = RESERVED
    return this.size++
  }

  /** Forgets all keys, and the memory they took. */
  clear(): void {
    this.size = this.used = 0
    this.#room.shrink(this.#taken)
    this.#taken = 0
    this.#slots = new Int32Array(256)
    this.#hashes = new Int32Array(128)
    this.#salts = new Int32Array(128)
    this.#starts = new Int32Array(129)
    this.#keys = Buffer.allocUnsafeSlow(4096)
    this.#view = viewOf(this.#keys)
  }

  #same(entry: number, view: DataView, start: number, end: number): boolean {
    const own = this.#view
    let at = this.#starts[entry]
    if (this.#starts[entry + 1] - at !== end - start) return false
    let i = start
    for (const last = end - 4; i <= last; i += 4, at += 4) {
      if (view.getInt32(i, true) !== own.getInt32(at, true)) return false
    }
    for (; i < end; i++, at++) if (view.getUint8(i) !== own.getUint8(at)) return false
    return true
  }

  #take(bytes: number): boolean {
    if (!this.#room.grow(bytes)) return false
    this.#taken += bytes
    return true
  }

  #grow(must = false): boolean {
    const length = this.#slots.length * 2
    const now = this.#slots.length + this.#hashes.length + this.#salts.length + this.#starts.length
    if (!this.#take((4 * length + 1 - now) * Int32Array.BYTES_PER_ELEMENT) && !must) return false
    const slots = new Int32Array(length)
    this.#hashes = larger(this.#hashes, length)
    this.#salts = larger(this.#salts, length)
    this.#starts = larger(this.#starts, length + 1)
    for (let entry = 0; entry < this.size; entry++) {
      if (this.#hashes[entry] === 0 && this.#salts[entry] === RESERVED) continue
      let slot = this.#hashes[entry] & (length - 1)
      // One without a place near its own is not found any more, and is added again.
      for (let i = 0; i < mostProbes && slots[slot] !== 0; i++) slot = (slot + 1) & (length - 1)
      if (slots[slot] === 0) slots[slot] = entry + 1
    }
    this.#slots = slots
    return true
  }

  #widen(size: number): boolean {
    const length = Math.max(this.#keys.length * 2, size)
    if (!this.#take(length - this.#keys.length)) return false
    const keys = Buffer.allocUnsafeSlow(length)
    keys.set(this.#keys)
    this.#keys = keys
    this.#view = viewOf(keys)
    return true
  }
}

/** The same numbers with room for more. */
export function larger(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(length)
  copy.set(array)
  return copy
}
