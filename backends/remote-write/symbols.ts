/**
 * The texts of requests in remote write 2.0. Each text has a number for as long as it is kept, and in each request the place
 * at which it was first needed, so that a series that was seen before costs no look at its texts.
 */
import { ByteTable, larger, viewOf } from '../byte-table.ts'
import { endless, type Room } from '../../proto/room.ts'
import type { LabelSets } from '../prometheus/labels.ts'
import type { Lane } from './lane.ts'
import { Cursor, putVarint, varintSize } from '../../proto/wire.ts'

/** More bytes of texts are not kept from one batch to the next. */
const mostBytes = 16 << 20

/** What is kept of a label set before its symbols: how many of these there are, where the extras belong. */
export const COUNT = 0
export const NAME_AT = 1
export const LE_AT = 2
export const QUANTILE_AT = 3
export const HEAD = 4

/** All texts and label sets as numbers. */
export class Symbols {
  readonly #memory: Room
  readonly #table: ByteTable
  /** Bytes taken for texts and sets. */
  #taken = 0
  /** The texts as fields of a request, one after the other. */
  #fields = Buffer.allocUnsafeSlow(8192)
  #ends = new Int32Array(1024)
  /** Label sets: a head, then numbers of texts in pairs. */
  sets = new Int32Array(8192)
  #setsAt = 0
  /** Where each label set starts, by its number; 0: not there. */
  #setOf = new Int32Array(1024)
  #generation = 0
  #viewed: Uint8Array = this.#fields
  #view = viewOf(this.#fields)
  readonly #cursor = new Cursor(this.#fields)
  readonly #inner = new Cursor(this.#fields)
  /** Counts how often everything was forgotten. */
  epoch = 0

  /** `room`: where memory that is kept from one batch to the next is taken. */
  constructor(room: Room = endless) {
    this.#memory = room
    this.#table = new ByteTable(room)
  }

  /** Forgets what is too much, or belongs to label sets that are not kept any more; only between two batches. */
  trim(generation: number): void {
    const fits = this.#settle()
    if (fits && generation === this.#generation && this.#table.used < mostBytes) return
    this.#generation = generation
    this.#table.clear()
    if (!fits) {
      this.#fields = Buffer.allocUnsafeSlow(8192)
      this.#ends = new Int32Array(1024)
      this.sets = new Int32Array(8192)
      this.#setOf = new Int32Array(1024)
      this.#memory.shrink(this.#taken)
      this.#taken = 0
    }
    this.#setOf.fill(0)
    this.#setsAt = 0
    this.epoch++
  }

  /** Takes room for what the last batch has left, which was no more than what it brought; false: there is none. */
  #settle(): boolean {
    const numbers = this.#ends.length + this.sets.length + this.#setOf.length
    const more = this.#fields.length + numbers * Int32Array.BYTES_PER_ELEMENT - this.#taken
    if (more > 0 && !this.#memory.grow(more)) return false
    this.#taken += Math.max(0, more)
    return true
  }

  /** The number of a text. */
  of(bytes: Uint8Array, start: number, end: number): number {
    if (bytes !== this.#viewed) {
      this.#view = viewOf(bytes)
      this.#viewed = bytes
    }
    const table = this.#table
    const hash = table.hash(this.#view, start, end, 0)
    const known = table.find(hash, this.#view, start, end, 0)
    if (known >= 0) return known
    const id = table.add(hash, bytes, start, end, 0)
    // Without a place in the table it has a number all the same, and another one the next time.
    return this.#store(id < 0 ? table.reserve() : id, bytes, start, end)
  }

  /** Where the set that the label sets stand at starts in `sets`. */
  set(labels: LabelSets): number {
    const { id } = labels
    // What came to be while a batch was written is not known by its number before the next.
    const keep = id >= 0 && labels.generation === this.#generation
    if (keep && id < this.#setOf.length && this.#setOf[id] !== 0) return this.#setOf[id] - 1
    const at = this.#addSet(labels)
    if (!keep) {
      this.#setsAt = at
      return at
    }
    if (id >= this.#setOf.length) this.#setOf = larger(this.#setOf, Math.max(this.#setOf.length * 2, id + 1))
    this.#setOf[id] = at + 1
    return at
  }

  /** The place of text `id` in the request of `lane`, to whose symbols it is added when it is new there. */
  place(lane: Lane, id: number): number {
    if (id >= lane.seen.length) lane.widen(id)
    if (lane.seen[id] === lane.request) return lane.places[id]
    const out = lane.aside
    const start = id === 0 ? 0 : this.#ends[id - 1]
    const end = this.#ends[id]
    out.ensure(end - start)
    out.at += this.#fields.copy(out.bytes, out.at, start, end)
    lane.seen[id] = lane.request
    return (lane.places[id] = lane.symbols++)
  }

  #store(id: number, bytes: Uint8Array, start: number, end: number): number {
    if (id >= this.#ends.length) this.#ends = larger(this.#ends, Math.max(this.#ends.length * 2, id + 1))
    const length = end - start
    const size = 1 + varintSize(length) + length
    let at = id === 0 ? 0 : this.#ends[id - 1]
    if (at + size > this.#fields.length) {
      const fields = Buffer.allocUnsafeSlow(Math.max(this.#fields.length * 2, at + size))
      this.#fields.copy(fields, 0, 0, at)
      this.#fields = fields
    }
    this.#fields[at++] = 0x22
    at = putVarint(this.#fields, at, length)
    this.#fields.set(bytes.subarray(start, end), at)
    this.#ends[id] = at + length
    return id
  }

  #addSet(labels: LabelSets): number {
    const { bytes, start, end } = labels
    const at = this.#setsAt
    const nameAt = labels.place('name')
    const leAt = labels.place('le')
    const quantileAt = labels.place('quantile')
    let next = at + HEAD
    this.#room(next)
    this.sets.fill(-1, at, next)
    const cursor = this.#cursor.set(bytes, start, end)
    const inner = this.#inner
    while (cursor.at < end) {
      const index = next - at - HEAD
      if (cursor.at === nameAt) this.sets[at + NAME_AT] = index
      if (cursor.at === leAt) this.sets[at + LE_AT] = index
      if (cursor.at === quantileAt) this.sets[at + QUANTILE_AT] = index
      cursor.tag()
      const to = cursor.length() + cursor.at
      inner.set(bytes, cursor.at, to)
      this.#room(next + 2)
      for (let i = 0; i < 2; i++) {
        inner.tag()
        const length = inner.length()
        const symbol = this.of(bytes, inner.at, inner.at + length)
        this.sets[next++] = symbol
        inner.at += length
      }
      cursor.at = to
    }
    const count = next - at - HEAD
    this.sets[at + COUNT] = count
    for (const place of [NAME_AT, LE_AT, QUANTILE_AT]) if (this.sets[at + place] < 0) this.sets[at + place] = count
    this.#setsAt = next
    return at
  }

  #room(length: number): void {
    if (length > this.sets.length) this.sets = larger(this.sets, Math.max(this.sets.length * 2, length))
  }
}
