/** Data points read from their bytes into fields that are used again for each point, so that reading makes no object. */
import { AttributeWalk } from '../../proto/attributes.ts'
import { Cursor, WireError } from '../../proto/wire.ts'

/** More buckets than this in one point are a mistake. */
export const mostBuckets = 10_000

/** Flag of a point that says that there is no value any more. */
const noRecordedValue = 1
const high = 2 ** 32

/** Numbers of a list, in an array that grows. */
export class Numbers {
  values = new Float64Array(32)
  length = 0

  push(value: number): void {
    if (this.length === this.values.length) {
      if (this.length >= mostBuckets) throw new WireError(`more than ${mostBuckets} buckets or quantiles`)
      const larger = new Float64Array(this.values.length * 2)
      larger.set(this.values)
      this.values = larger
    }
    this.values[this.length++] = value
  }
}

/** One side of an exponential histogram. */
export class Side {
  offset = 0
  readonly counts = new Numbers()
}

/** What all points have, and how they are walked. `read` of a subclass fills it. */
abstract class Point {
  /** Nanoseconds. As doubles they are exact to a quarter of a microsecond. */
  start = 0
  time = 0
  /** Whether the series ends here. */
  ended = false
  /** Where it was read from. */
  bytes: Uint8Array = new Uint8Array(0)
  /** The attributes: their fields, one after the other. */
  attributes: Uint8Array = new Uint8Array(0)
  attributesStart = 0
  attributesEnd = 0
  /** Where the first exemplar's field starts and the last one ends; other fields may stand between. */
  exemplarsStart = 0
  exemplarsEnd = 0
  abstract readonly attributesTag: number
  abstract readonly exemplarsTag: number
  protected readonly cursor = new Cursor(new Uint8Array(0))
  protected view: DataView = new DataView(new ArrayBuffer(0))
  #viewed: Uint8Array | undefined
  #isScattered = false

  protected begin(bytes: Uint8Array, start: number, end: number): Cursor {
    if (bytes !== this.#viewed) {
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
      this.#viewed = bytes
    }
    this.start = this.time = 0
    this.ended = this.#isScattered = false
    this.bytes = this.attributes = bytes
    this.attributesStart = this.attributesEnd = this.exemplarsStart = this.exemplarsEnd = start
    return this.cursor.set(bytes, start, end)
  }

  /** Gathers attributes that do not stand side by side. */
  protected finish(start: number, end: number): void {
    if (!this.#isScattered) return
    const parts: Uint8Array[] = []
    const walk = new AttributeWalk(this.attributes, start, end, this.attributesTag)
    while (walk.next()) parts.push(this.attributes.subarray(walk.field, walk.to))
    this.attributes = Buffer.concat(parts)
    this.attributesStart = 0
    this.attributesEnd = this.attributes.length
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.bytes = this.attributes = new Uint8Array(0)
    this.cursor.bytes = this.attributes
    this.#viewed = undefined
  }

  protected attribute(cursor: Cursor, field: number): void {
    const length = cursor.length()
    if (this.attributesStart === this.attributesEnd) this.attributesStart = field
    else if (this.attributesEnd !== field) this.#isScattered = true
    this.attributesEnd = cursor.at += length
  }

  protected exemplar(cursor: Cursor, field: number): void {
    const length = cursor.length()
    if (this.exemplarsStart === this.exemplarsEnd) this.exemplarsStart = field
    this.exemplarsEnd = cursor.at += length
  }

  protected flags(cursor: Cursor): void {
    this.ended = (cursor.uint32() & noRecordedValue) !== 0
  }

  /** The next eight bytes, unsigned. */
  protected fixed64(cursor: Cursor): number {
    const { at } = cursor
    cursor.advance(8)
    return this.view.getUint32(at, true) + this.view.getUint32(at + 4, true) * high
  }

  protected sfixed64(cursor: Cursor): number {
    const { at } = cursor
    cursor.advance(8)
    return this.view.getUint32(at, true) + this.view.getInt32(at + 4, true) * high
  }

  protected double(cursor: Cursor): number {
    const { at } = cursor
    cursor.advance(8)
    return this.view.getFloat64(at, true)
  }

  /** What is not known is skipped; a known field with another wire type is an error. `known` has a bit per field. */
  protected other(cursor: Cursor, tag: number, known: number): void {
    const field = tag >>> 3
    if (field < 16 && ((known >>> field) & 1) === 1) {
      throw new WireError(`field ${field} of a data point has wire type ${tag & 7}`)
    }
    cursor.skip(tag)
  }
}

/** A point of a gauge or a sum. */
export class NumberPoint extends Point {
  readonly attributesTag = 0x3a
  readonly exemplarsTag = 0x2a
  value = 0
  hasValue = false

  read(bytes: Uint8Array, start: number, end: number): void {
    const cursor = this.begin(bytes, start, end)
    this.hasValue = false
    while (cursor.at < end) {
      const field = cursor.at
      const tag = cursor.tag()
      switch (tag) {
        case 0x11:
          this.start = this.fixed64(cursor)
          break
        case 0x19:
          this.time = this.fixed64(cursor)
          break
        case 0x21:
          this.value = this.double(cursor)
          this.hasValue = true
          break
        case 0x31:
          this.value = this.sfixed64(cursor)
          this.hasValue = true
          break
        case 0x2a:
          this.exemplar(cursor, field)
          break
        case 0x3a:
          this.attribute(cursor, field)
          break
        case 0x40:
          this.flags(cursor)
          break
        default:
          this.other(cursor, tag, 0b1_1111_1100)
      }
    }
    this.finish(start, end)
  }
}

/** A point of a histogram with bounds of its own. */
export class HistogramPoint extends Point {
  readonly attributesTag = 0x4a
  readonly exemplarsTag = 0x42
  count = 0
  sum = 0
  hasSum = false
  readonly counts = new Numbers()
  readonly bounds = new Numbers()

  read(bytes: Uint8Array, start: number, end: number): void {
    const cursor = this.begin(bytes, start, end)
    this.count = this.sum = this.counts.length = this.bounds.length = 0
    this.hasSum = false
    while (cursor.at < end) this.#field(cursor)
    this.finish(start, end)
  }

  #field(cursor: Cursor): void {
    const field = cursor.at
    const tag = cursor.tag()
    switch (tag) {
      case 0x11:
        this.start = this.fixed64(cursor)
        return
      case 0x19:
        this.time = this.fixed64(cursor)
        return
      case 0x21:
        this.count = this.fixed64(cursor)
        return
      case 0x29:
        this.sum = this.double(cursor)
        this.hasSum = true
        return
      case 0x31:
        return this.counts.push(this.fixed64(cursor))
      case 0x32:
        for (const end = packed(cursor, 8); cursor.at < end;) this.counts.push(this.fixed64(cursor))
        return
      case 0x39:
        return this.bounds.push(this.double(cursor))
      case 0x3a:
        for (const end = packed(cursor, 8); cursor.at < end;) this.bounds.push(this.double(cursor))
        return
      case 0x42:
        return this.exemplar(cursor, field)
      case 0x4a:
        return this.attribute(cursor, field)
      case 0x50:
        return this.flags(cursor)
      default:
        this.other(cursor, tag, 0b111_1111_1100)
    }
  }
}

/** A point of an exponential histogram. */
export class ExponentialPoint extends Point {
  readonly attributesTag = 0x0a
  readonly exemplarsTag = 0x5a
  count = 0
  sum = 0
  hasSum = false
  scale = 0
  zeroCount = 0
  zeroThreshold = 0
  readonly positive = new Side()
  readonly negative = new Side()

  read(bytes: Uint8Array, start: number, end: number): void {
    const cursor = this.begin(bytes, start, end)
    this.count = this.sum = this.scale = this.zeroCount = this.zeroThreshold = 0
    this.hasSum = false
    for (const side of [this.positive, this.negative]) side.offset = side.counts.length = 0
    while (cursor.at < end) this.#field(cursor, end)
    this.finish(start, end)
  }

  #field(cursor: Cursor, end: number): void {
    const field = cursor.at
    const tag = cursor.tag()
    switch (tag) {
      case 0x0a:
        return this.attribute(cursor, field)
      case 0x11:
        this.start = this.fixed64(cursor)
        return
      case 0x19:
        this.time = this.fixed64(cursor)
        return
      case 0x21:
        this.count = this.fixed64(cursor)
        return
      case 0x29:
        this.sum = this.double(cursor)
        this.hasSum = true
        return
      case 0x30:
        this.scale = sint32(cursor)
        return
      case 0x39:
        this.zeroCount = this.fixed64(cursor)
        return
      case 0x42:
        return readSide(cursor, end, this.positive)
      case 0x4a:
        return readSide(cursor, end, this.negative)
      case 0x50:
        return this.flags(cursor)
      case 0x5a:
        return this.exemplar(cursor, field)
      case 0x71:
        this.zeroThreshold = this.double(cursor)
        return
      default:
        this.other(cursor, tag, 0b100_1111_1111_1110)
    }
  }
}

/** A point of a summary. */
export class SummaryPoint extends Point {
  readonly attributesTag = 0x3a
  /** Summaries have none. */
  readonly exemplarsTag = 0
  count = 0
  sum = 0
  /** Quantile, value, quantile, value. */
  readonly quantiles = new Numbers()

  read(bytes: Uint8Array, start: number, end: number): void {
    const cursor = this.begin(bytes, start, end)
    this.count = this.sum = this.quantiles.length = 0
    while (cursor.at < end) {
      const field = cursor.at
      const tag = cursor.tag()
      if (tag === 0x11) this.start = this.fixed64(cursor)
      else if (tag === 0x19) this.time = this.fixed64(cursor)
      else if (tag === 0x21) this.count = this.fixed64(cursor)
      else if (tag === 0x29) this.sum = this.double(cursor)
      else if (tag === 0x32) this.#quantile(cursor, end)
      else if (tag === 0x3a) this.attribute(cursor, field)
      else if (tag === 0x40) this.flags(cursor)
      else this.other(cursor, tag, 0b1_1111_1100)
    }
    this.finish(start, end)
  }

  #quantile(cursor: Cursor, end: number): void {
    const length = cursor.length()
    cursor.end = cursor.at + length
    let quantile = 0
    let value = 0
    while (cursor.at < cursor.end) {
      const tag = cursor.tag()
      if (tag === 0x09) quantile = this.double(cursor)
      else if (tag === 0x11) value = this.double(cursor)
      else this.other(cursor, tag, 0b110)
    }
    cursor.end = end
    this.quantiles.push(quantile)
    this.quantiles.push(value)
  }
}

/** Where a packed list ends; leaves the cursor at its first number. */
function packed(cursor: Cursor, size: number): number {
  const length = cursor.length()
  if (length % size !== 0) throw new WireError(`a list of ${length} bytes is no list of numbers`)
  return cursor.at + length
}

function sint32(cursor: Cursor): number {
  const n = cursor.uint32()
  return (n >>> 1) ^ -(n & 1)
}

/** A Buckets message. One that stands twice is merged: its counts are one list. */
function readSide(cursor: Cursor, end: number, side: Side): void {
  cursor.end = cursor.length() + cursor.at
  const last = cursor.end
  while (cursor.at < last) {
    const tag = cursor.tag()
    if (tag === 0x08) side.offset = sint32(cursor)
    else if (tag === 0x10) side.counts.push(uint64(cursor))
    else if (tag === 0x12) {
      cursor.end = cursor.length() + cursor.at
      while (cursor.at < cursor.end) side.counts.push(uint64(cursor))
      cursor.end = last
    } else if (tag >>> 3 <= 2) throw new WireError(`field ${tag >>> 3} of buckets has wire type ${tag & 7}`)
    else cursor.skip(tag)
  }
  cursor.end = end
}

/** An unsigned varint as a double. */
function uint64(cursor: Cursor): number {
  const { bytes, at } = cursor
  cursor.skipVarint()
  let n = 0
  for (let i = cursor.at - 1; i >= at; i--) n = n * 128 + (bytes[i] & 0x7f)
  return n
}
