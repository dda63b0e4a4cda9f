/** Data points of all kinds, read from their bytes into one holder that is used again for each. */
import { PointTags } from './point-tags.ts'
import { Cursor, FIXED64, LENGTH, VARINT, WireError } from '../../proto/wire.ts'

/** Numbers that grow by appending, and keep their memory. */
export class Numbers {
  values = new Float64Array(32)
  length = 0

  push(n: number): void {
    if (this.length === this.values.length) {
      const larger = new Float64Array(this.length * 2)
      larger.set(this.values)
      this.values = larger
    }
    this.values[this.length++] = n
  }

  /** A copy that stays as it is. */
  copy(): Float64Array {
    return this.values.slice(0, this.length)
  }

  sum(): number {
    let sum = 0
    for (let i = 0; i < this.length; i++) sum += this.values[i]
    return sum
  }
}

/** Which kind of point it is: the field of Metric that holds it. */
export type PointKind = 'gauge' | 'sum' | 'histogram' | 'exponential_histogram' | 'summary'

/** Fields of points: what the number of each stands for. */
type Role =
  | 'attributes'
  | 'start'
  | 'time'
  | 'double'
  | 'int'
  | 'count'
  | 'sum'
  | 'buckets'
  | 'bounds'
  | 'flags'
  | 'min'
  | 'max'
  | 'scale'
  | 'zeros'
  | 'positive'
  | 'negative'
  | 'quantile'

interface Known {
  readonly role: Role
  readonly wire: number
}

const common = { 2: ['start', FIXED64], 3: ['time', FIXED64] } as const
const declared: Readonly<Record<PointKind, Readonly<Record<number, readonly [Role, number]>>>> = {
  gauge: { ...common, 7: ['attributes', LENGTH], 4: ['double', FIXED64], 6: ['int', FIXED64], 8: ['flags', VARINT] },
  sum: { ...common, 7: ['attributes', LENGTH], 4: ['double', FIXED64], 6: ['int', FIXED64], 8: ['flags', VARINT] },
  histogram: {
    ...common,
    9: ['attributes', LENGTH],
    4: ['count', FIXED64],
    5: ['sum', FIXED64],
    6: ['buckets', FIXED64],
    7: ['bounds', FIXED64],
    10: ['flags', VARINT],
    11: ['min', FIXED64],
    12: ['max', FIXED64],
  },
  exponential_histogram: {
    ...common,
    1: ['attributes', LENGTH],
    4: ['count', FIXED64],
    5: ['sum', FIXED64],
    6: ['scale', VARINT],
    7: ['zeros', FIXED64],
    8: ['positive', LENGTH],
    9: ['negative', LENGTH],
    10: ['flags', VARINT],
    12: ['min', FIXED64],
    13: ['max', FIXED64],
  },
  summary: {
    ...common,
    7: ['attributes', LENGTH],
    4: ['count', FIXED64],
    5: ['sum', FIXED64],
    6: ['quantile', LENGTH],
    8: ['flags', VARINT],
  },
}
const byNumber = (kind: PointKind): readonly (Known | undefined)[] =>
  Array.from({ length: 16 }, (_, number): Known | undefined => {
    const known = declared[kind][number]
    return known && { role: known[0], wire: known[1] }
  })
const fields: Readonly<Record<PointKind, readonly (Known | undefined)[]>> = {
  gauge: byNumber('gauge'),
  sum: byNumber('sum'),
  histogram: byNumber('histogram'),
  exponential_histogram: byNumber('exponential_histogram'),
  summary: byNumber('summary'),
}

/** Fields that may stand packed. */
const packs = (role: Role): boolean => role === 'buckets' || role === 'bounds'

/** One point. What it does not have is 0, or NaN where 0 is a value. */
export class Point {
  /** Nanoseconds since 1970, to the nearest of about 256. */
  start = 0
  time = 0
  /** Of a gauge or a sum; NaN where it has none. */
  value = NaN
  /** There is no value: the series ended. */
  stale = false
  count = 0
  sum = NaN
  min = NaN
  max = NaN
  scale = 0
  zeros = 0
  readonly buckets = new Numbers()
  readonly bounds = new Numbers()
  positiveOffset = 0
  readonly positive = new Numbers()
  negativeOffset = 0
  readonly negative = new Numbers()
  readonly quantiles = new Numbers()
  readonly quantileValues = new Numbers()
  readonly tags = new PointTags()
  readonly #cursor = new Cursor(Buffer.alloc(0))
  readonly #inner = new Cursor(Buffer.alloc(0))
  #buffer: Buffer = Buffer.alloc(0)

  /** Reads the point between `start` and `end`. @throws WireError */
  read(kind: PointKind, bytes: Buffer, start: number, end: number): void {
    this.#clear()
    this.#buffer = bytes
    const known = fields[kind]
    const cursor = this.#cursor.set(bytes, start, end)
    while (cursor.at < end) {
      const tag = cursor.tag()
      const field = tag < 128 ? known[tag >>> 3] : undefined
      if (field === undefined) cursor.skip(tag)
      else if (field.wire === (tag & 7)) this.#field(field.role, cursor)
      else if (packs(field.role) && (tag & 7) === LENGTH) this.#packed(field.role, cursor)
      else throw new WireError(`field ${tag >>> 3} of a data point has wire type ${tag & 7}`)
    }
    this.tags.make(bytes)
  }

  #clear(): void {
    this.start = this.time = this.count = this.scale = this.zeros = this.positiveOffset = this.negativeOffset = 0
    this.value = this.sum = this.min = this.max = NaN
    this.stale = false
    this.buckets.length = this.bounds.length = this.positive.length = this.negative.length = 0
    this.quantiles.length = this.quantileValues.length = 0
    this.tags.clear()
  }

  #field(role: Role, cursor: Cursor): void {
    switch (role) {
      case 'attributes': {
        const size = cursor.length()
        this.tags.note(cursor.at, cursor.at + size)
        cursor.at += size
        return
      }
      case 'start':
        this.start = this.#fixed(cursor)
        return
      case 'time':
        this.time = this.#fixed(cursor)
        return
      case 'double':
        this.value = this.#double(cursor)
        return
      case 'int':
        this.value = this.#signed(cursor)
        return
      case 'count':
        this.count = this.#fixed(cursor)
        return
      case 'zeros':
        this.zeros = this.#fixed(cursor)
        return
      case 'sum':
      case 'min':
      case 'max':
        this[role] = this.#double(cursor)
        return
      case 'buckets':
        this.buckets.push(this.#fixed(cursor))
        return
      case 'bounds':
        this.bounds.push(this.#double(cursor))
        return
      case 'flags':
        this.stale = (cursor.uint32() & 1) === 1
        return
      case 'scale':
        this.scale = zigzag(cursor.uint32())
        return
      case 'positive':
        this.positiveOffset = this.#exponential(cursor, this.positive, this.positiveOffset)
        return
      case 'negative':
        this.negativeOffset = this.#exponential(cursor, this.negative, this.negativeOffset)
        return
      case 'quantile':
        this.#quantile(cursor)
    }
  }

  #packed(role: Role, cursor: Cursor): void {
    const size = cursor.length()
    const to = cursor.at + size
    if (size % 8 !== 0) throw new WireError(`packed numbers of ${size} bytes`)
    const bounds = role === 'bounds'
    while (cursor.at < to) {
      if (bounds) this.bounds.push(this.#double(cursor))
      else this.buckets.push(this.#fixed(cursor))
    }
  }

  /** Buckets of an exponential histogram; gives their offset. */
  #exponential(cursor: Cursor, counts: Numbers, before: number): number {
    let offset = before
    const size = cursor.length()
    const to = cursor.at + size
    const inner = this.#inner.set(cursor.bytes, cursor.at, to)
    while (inner.at < to) {
      inner.end = to
      const tag = inner.tag()
      if (tag === 0x08) offset = zigzag(inner.uint32())
      else if (tag === 0x10) counts.push(varint(inner))
      else if (tag === 0x12) {
        const length = inner.length()
        inner.end = inner.at + length
        while (inner.at < inner.end) counts.push(varint(inner))
      } else inner.skip(tag)
    }
    cursor.at = to
    return offset
  }

  #quantile(cursor: Cursor): void {
    let quantile = 0
    let value = 0
    const size = cursor.length()
    const to = cursor.at + size
    const inner = this.#inner.set(cursor.bytes, cursor.at, to)
    while (inner.at < to) {
      const tag = inner.tag()
      if (tag === 0x09) quantile = this.#double(inner)
      else if (tag === 0x11) value = this.#double(inner)
      else inner.skip(tag)
    }
    this.quantiles.push(quantile)
    this.quantileValues.push(value)
    cursor.at = to
  }

  #double(cursor: Cursor): number {
    const { at } = cursor
    cursor.advance(8)
    return this.#buffer.readDoubleLE(at)
  }

  #fixed(cursor: Cursor): number {
    const { at } = cursor
    cursor.advance(8)
    return this.#buffer.readUInt32LE(at) + this.#buffer.readUInt32LE(at + 4) * 0x1_0000_0000
  }

  #signed(cursor: Cursor): number {
    const { at } = cursor
    cursor.advance(8)
    return this.#buffer.readUInt32LE(at) + this.#buffer.readInt32LE(at + 4) * 0x1_0000_0000
  }
}

const zigzag = (bits: number): number => (bits >>> 1) ^ -(bits & 1)

/** A varint as a number; exact below 2^53, and counts are. */
function varint(cursor: Cursor): number {
  const from = cursor.at
  cursor.skipVarint()
  let n = 0
  for (let at = cursor.at - 1; at >= from; at--) n = n * 128 + (cursor.bytes[at] & 0x7f)
  return n
}

/** What of a metric's data says how its points are to be taken. */
export interface Data {
  kind: PointKind
  bytes: Buffer
  start: number
  end: number
  temporality: number
  monotonic: boolean
}

/** Reads temporality and monotony of the data between `start` and `end`, which may stand before or after the points. @throws WireError */
export function readTemporality(cursor: Cursor, data: Data): void {
  data.temporality = 0
  data.monotonic = false
  cursor.set(data.bytes, data.start, data.end)
  while (cursor.at < data.end) {
    const tag = cursor.tag()
    if (tag === 0x10) data.temporality = cursor.uint32()
    else if (tag === 0x18) data.monotonic = cursor.uint32() !== 0
    else cursor.skip(tag)
  }
}
