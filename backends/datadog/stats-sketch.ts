/**
 * Datadog's sketch of durations (DDSketch, "A fast and fully-mergeable quantile sketch with relative-error guarantees"):
 * logarithmic bins, so that each quantile is within 1 % of a duration that was there.
 */
import { endless, type Room } from '../../proto/room.ts'
import { putVarint, varintSize } from '../../proto/wire.ts'

const accuracy = 0.01
const gamma = (1 + accuracy) / (1 - accuracy)
const multiplier = 1 / Math.log(gamma)
/** As many bins as are kept; with more, the lowest are one. */
const mostBins = 2048

/** Bins of a sketch at first, and bytes of one with its object. */
const firstBins = 16
const binCost = Float64Array.BYTES_PER_ELEMENT
/** Bytes that a sketch takes at first. */
export const sketchCost = 300 + firstBins * binCost

/** Counts of durations by size. */
export class DurationSketch {
  readonly #room: Room
  /** Bytes taken for bins beyond the first. */
  taken = 0
  /** Durations of 0, which have no bin. */
  #zeros = 0
  #bins = new Float64Array(0)
  /** Index of the first bin. */
  #offset = 0
  #lowest = 0
  #highest = -1

  /** `room`: where memory for bins is taken; with none left durations go into the nearest bin there is. */
  constructor(room: Room = endless) {
    this.#room = room
  }

  /** Adds a duration that stands for `weight` of them. */
  add(duration: number, weight: number): void {
    if (!(duration > 0)) {
      this.#zeros += weight
      return
    }
    const index = Math.floor(Math.log(duration) * multiplier)
    this.#makeRoom(index)
    this.#bins[Math.min(Math.max(index, this.#lowest), this.#highest) - this.#offset] += weight
  }

  /** Makes the index one that there is a bin for, as far as there is room. */
  #makeRoom(index: number): void {
    if (this.#highest < this.#lowest) {
      this.#bins = new Float64Array(firstBins)
      this.#offset = index - 8
      this.#lowest = this.#highest = index
      return
    }
    const lowest = Math.min(index, this.#lowest)
    const highest = Math.max(index, this.#highest)
    const kept = Math.max(lowest, highest - mostBins + 1)
    if (kept >= this.#offset && highest < this.#offset + this.#bins.length) this.#collapse(kept)
    else if (!this.#widen(kept, highest)) return
    this.#lowest = kept
    this.#highest = highest
  }

  /** Copies the bins to where there is room around them. */
  #widen(lowest: number, highest: number): boolean {
    const size = highest - lowest + 1
    const length = Math.min(mostBins, size) + 16
    const more = Math.max(0, length - this.#bins.length) * binCost
    if (!this.#room.grow(more)) return false
    this.taken += more
    const bins = new Float64Array(length)
    const offset = lowest - 8
    for (let i = this.#lowest; i <= this.#highest; i++)
      bins[Math.max(i, lowest) - offset] += this.#bins[i - this.#offset]
    this.#bins = bins
    this.#offset = offset
    return true
  }

  /** Adds what is below `lowest` to it. */
  #collapse(lowest: number): void {
    for (let i = this.#lowest; i < lowest; i++) {
      this.#bins[lowest - this.#offset] += this.#bins[i - this.#offset]
      this.#bins[i - this.#offset] = 0
    }
  }

  /** The bytes of its protobuf message. */
  encode(): Buffer {
    const count = this.#highest - this.#lowest + 1
    const counts = count * 8
    // The index of the first bin is a sint32.
    const first = ((this.#lowest << 1) ^ (this.#lowest >> 31)) >>> 0
    const store = count === 0 ? 0 : 1 + varintSize(counts) + counts + (first === 0 ? 0 : 1 + varintSize(first))
    const size = 11 + (1 + varintSize(store) + store) + 2 + (this.#zeros > 0 ? 9 : 0)
    const out = Buffer.alloc(size)
    let at = 0
    out[at++] = 0x0a
    out[at++] = 9
    out[at++] = 0x09
    at = out.writeDoubleLE(gamma, at)
    out[at++] = 0x12
    at = putVarint(out, at, store)
    if (count > 0) {
      out[at++] = 0x12
      at = putVarint(out, at, counts)
      for (let i = this.#lowest; i <= this.#highest; i++) at = out.writeDoubleLE(this.#bins[i - this.#offset], at)
      if (first !== 0) {
        out[at++] = 0x18
        at = putVarint(out, at, first)
      }
    }
    out[at++] = 0x1a
    out[at++] = 0
    if (this.#zeros > 0) {
      out[at++] = 0x21
      at = out.writeDoubleLE(this.#zeros, at)
    }
    return out
  }
}
