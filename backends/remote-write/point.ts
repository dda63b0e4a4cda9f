/** Data points read into one object that is used again and again. */
import { viewOf } from '../byte-table.ts'
import { Cursor, WireError } from '../../proto/wire.ts'

/** Numbers that are read one after the other, as many as there are. */
export class Numbers {
  values = new Float64Array(32)
  length = 0

  push(n: number): void {
    if (this.length === this.values.length) {
      const longer = new Float64Array(this.length * 2)
      longer.set(this.values)
      this.values = longer
    }
    this.values[this.length++] = n
  }
}

/** Buckets of one sign of an exponential histogram. */
export class Buckets {
  offset = 0
  readonly counts = new Numbers()

  clear(): void {
    this.offset = this.counts.length = 0
  }
}

/** What a metric's data is, by the number of its field in Metric. */
export const GAUGE = 5
export const SUM = 7
export const HISTOGRAM = 9
export const EXPONENTIAL = 10
export const SUMMARY = 11

/** Tags of the attributes of a point, by what the metric is. */
const attributeTagOf: readonly number[] = [0, 0, 0, 0, 0, 0x3a, 0, 0x3a, 0, 0x4a, 0x0a, 0x3a]
const exemplarTagOf: readonly number[] = [0, 0, 0, 0, 0, 0x2a, 0, 0x2a, 0, 0x42, 0x5a, 0]
const flagsTagOf: readonly number[] = [0, 0, 0, 0, 0, 0x40, 0, 0x40, 0, 0x50, 0x50, 0x40]

const nothing = Buffer.alloc(0)

/** One data point of whatever kind. */
export class Point {
  /** The attributes: a range with all of them under `tag`. */
  bytes: Uint8Array = nothing
  start = 0
  end = 0
  tag = 0
  /** Milliseconds since the epoch; `startTime` is 0 where there is none. */
  time = 0
  startTime = 0
  /** There is no value (any more). */
  stale = false
  /** Halves of a number point's value as a double, of a count; whether there is a value. */
  low = 0
  high = 0
  hasValue = false
  count = 0
  sum = 0
  hasSum = false
  readonly counts = new Numbers()
  readonly bounds = new Numbers()
  scale = 0
  zeroCount = 0
  zeroThreshold = 0
  readonly positive = new Buckets()
  readonly negative = new Buckets()
  /** Quantile and value in turns. */
  readonly quantiles = new Numbers()
  /** Start and end of each exemplar in `data`. */
  readonly exemplars = new Numbers()
  /** The bytes the point stands in, and a view of them. */
  data: Uint8Array = nothing
  view: DataView = viewOf(nothing)
  readonly #cursor = new Cursor(nothing)
  readonly #inner = new Cursor(nothing)
  readonly #double = new DataView(new ArrayBuffer(8))

  /** Reads the point between `from` and `to`. @throws WireError */
  read(kind: number, bytes: Uint8Array, from: number, to: number): void {
    if (bytes !== this.data) {
      this.data = bytes
      this.view = viewOf(bytes)
    }
    this.#clear()
    this.bytes = bytes
    this.start = this.end = from
    this.tag = attributeTagOf[kind]
    const exemplarTag = exemplarTagOf[kind]
    const flagsTag = flagsTagOf[kind]
    const cursor = this.#cursor.set(bytes, from, to)
    while (cursor.at < to) {
      const field = cursor.at
      const tag = cursor.tag()
      if (tag === this.tag) {
        const length = cursor.length()
        cursor.at += length
        this.#attribute(field, cursor.at)
      } else if (tag === 0x19) this.time = this.#milliseconds(cursor)
      else if (tag === 0x11) this.startTime = this.#milliseconds(cursor)
      else if (tag === flagsTag) this.stale = (cursor.uint32() & 1) === 1
      else if (tag === exemplarTag) {
        const length = cursor.length()
        this.exemplars.push(cursor.at)
        cursor.at += length
        this.exemplars.push(cursor.at)
      } else if (kind <= SUM) this.#number(cursor, tag)
      else if (kind === HISTOGRAM) this.#histogram(cursor, tag)
      else if (kind === EXPONENTIAL) this.#exponential(cursor, tag)
      else this.#summary(cursor, tag)
    }
  }

  #clear(): void {
    this.time = this.startTime = this.low = this.high = this.count = this.sum = 0
    this.scale = this.zeroCount = this.zeroThreshold = 0
    this.stale = this.hasValue = this.hasSum = false
    this.counts.length = this.bounds.length = this.quantiles.length = this.exemplars.length = 0
    this.positive.clear()
    this.negative.clear()
  }

  /** Adds an attribute's field to the range; where others stand between, the range is a copy. */
  #attribute(from: number, to: number): void {
    if (this.end === this.start) {
      this.start = from
      this.end = to
    } else if (this.end === from && this.bytes === this.data) this.end = to
    else {
      this.bytes = Buffer.concat([this.bytes.subarray(this.start, this.end), this.data.subarray(from, to)])
      this.start = 0
      this.end = this.bytes.length
    }
  }

  #number(cursor: Cursor, tag: number): void {
    if (tag !== 0x21 && tag !== 0x31) return cursor.skip(tag)
    const { at } = cursor
    cursor.advance(8)
    this.hasValue = true
    this.low = this.view.getInt32(at, true)
    this.high = this.view.getInt32(at + 4, true)
    if (tag === 0x21) return
    const double = this.#double
    double.setFloat64(0, this.high * 0x1_0000_0000 + (this.low >>> 0), true)
    this.low = double.getInt32(0, true)
    this.high = double.getInt32(4, true)
  }

  #histogram(cursor: Cursor, tag: number): void {
    switch (tag) {
      case 0x21:
        this.count = this.#fixed64(cursor)
        return
      case 0x29:
        this.sum = this.#doubleAt(cursor)
        this.hasSum = true
        return
      case 0x31:
        this.counts.push(this.#fixed64(cursor))
        return
      case 0x32:
        this.#packed(cursor, this.counts, false)
        return
      case 0x39:
        this.bounds.push(this.#doubleAt(cursor))
        return
      case 0x3a:
        this.#packed(cursor, this.bounds, true)
        return
      default:
        cursor.skip(tag)
    }
  }

  #exponential(cursor: Cursor, tag: number): void {
    switch (tag) {
      case 0x21:
        this.count = this.#fixed64(cursor)
        return
      case 0x29:
        this.sum = this.#doubleAt(cursor)
        this.hasSum = true
        return
      case 0x30:
        this.scale = sint32(cursor)
        return
      case 0x39:
        this.zeroCount = this.#fixed64(cursor)
        return
      case 0x42:
        this.#buckets(cursor, this.positive)
        return
      case 0x4a:
        this.#buckets(cursor, this.negative)
        return
      case 0x71:
        this.zeroThreshold = this.#doubleAt(cursor)
        return
      default:
        cursor.skip(tag)
    }
  }

  #summary(cursor: Cursor, tag: number): void {
    switch (tag) {
      case 0x21:
        this.count = this.#fixed64(cursor)
        return
      case 0x29:
        this.sum = this.#doubleAt(cursor)
        return
      case 0x32:
        this.#quantile(cursor)
        return
      default:
        cursor.skip(tag)
    }
  }

  #quantile(cursor: Cursor): void {
    const to = cursor.length() + cursor.at
    const inner = this.#inner.set(cursor.bytes, cursor.at, to)
    let quantile = 0
    let value = 0
    while (inner.at < to) {
      const tag = inner.tag()
      if (tag === 0x09) quantile = this.#doubleAt(inner)
      else if (tag === 0x11) value = this.#doubleAt(inner)
      else inner.skip(tag)
    }
    this.quantiles.push(quantile)
    this.quantiles.push(value)
    cursor.at = to
  }

  #buckets(cursor: Cursor, out: Buckets): void {
    const to = cursor.length() + cursor.at
    const inner = this.#inner.set(cursor.bytes, cursor.at, to)
    while (inner.at < to) {
      inner.end = to
      const tag = inner.tag()
      if (tag === 0x08) out.offset = sint32(inner)
      else if (tag === 0x10) out.counts.push(uint64(inner))
      else if (tag === 0x12) {
        inner.end = inner.length() + inner.at
        while (inner.at < inner.end) out.counts.push(uint64(inner))
      } else inner.skip(tag)
    }
    cursor.at = to
  }

  #packed(cursor: Cursor, out: Numbers, doubles: boolean): void {
    const length = cursor.length()
    if (length % 8 !== 0) throw new WireError(`packed field of ${length} bytes at byte ${cursor.at}`)
    for (const to = cursor.at + length; cursor.at < to;) {
      out.push(doubles ? this.#doubleAt(cursor) : this.#fixed64(cursor))
    }
  }

  #doubleAt(cursor: Cursor): number {
    const { at } = cursor
    cursor.advance(8)
    return this.view.getFloat64(at, true)
  }

  #fixed64(cursor: Cursor): number {
    const { at } = cursor
    cursor.advance(8)
    return this.view.getUint32(at + 4, true) * 0x1_0000_0000 + this.view.getUint32(at, true)
  }

  #milliseconds(cursor: Cursor): number {
    const { at } = cursor
    cursor.advance(8)
    return milliseconds(this.view, at)
  }
}

/** Whole milliseconds of the nanoseconds at `at`. Exact: 2^32 ns are 4294 ms and 967,296 ns. */
export function milliseconds(view: DataView, at: number): number {
  const low = view.getUint32(at, true)
  const high = view.getUint32(at + 4, true)
  return high * 4294 + Math.floor((high * 967_296 + low) / 1_000_000)
}

function sint32(cursor: Cursor): number {
  const n = cursor.uint32()
  return (n >>> 1) ^ -(n & 1)
}

/** Exact up to 2^53, which counts do not reach. */
function uint64(cursor: Cursor): number {
  const { bytes, at } = cursor
  if (at < cursor.end && bytes[at] < 0x80) {
    cursor.at++
    return bytes[at]
  }
  cursor.skipVarint()
  let n = 0
  for (let i = cursor.at - 1; i >= at; i--) n = n * 0x80 + (bytes[i] & 0x7f)
  return n
}
