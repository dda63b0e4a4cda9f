/** Data points of all kinds, read from their bytes into one object that is used again for each. */
import { AttributeWalk } from './attributes.ts'
import { Numbers } from './numbers.ts'
import { EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM, SUMMARY } from './points.ts'
import { readUint64 } from './varint64.ts'
import { fieldNamed } from './views.ts'
import { messageNamed } from './schema.ts'
import { Cursor, LENGTH, WireError } from './wire.ts'

// What is to be done with a field.
const SKIP = 0
const WRONG = 1
const ATTRIBUTE = 2
const START = 3
const TIME = 4
const DOUBLE = 5
const INT = 6
const FLAGS = 7
const EXEMPLAR = 8
const COUNT = 9
const TOTAL = 10
const BUCKET = 11
const BUCKETS = 12
const BOUND = 13
const BOUNDS = 14
const MIN = 15
const MAX = 16
const SCALE = 17
const ZEROS = 18
const ZERO_THRESHOLD = 19
const POSITIVE = 20
const NEGATIVE = 21
const QUANTILE = 22

/** The same by the names of the schema; what may also stand packed has a second number for that. */
const jobs = {
  attributes: [ATTRIBUTE],
  start_time_unix_nano: [START],
  time_unix_nano: [TIME],
  as_double: [DOUBLE],
  as_int: [INT],
  flags: [FLAGS],
  exemplars: [EXEMPLAR],
  count: [COUNT],
  sum: [TOTAL],
  bucket_counts: [BUCKET, BUCKETS],
  explicit_bounds: [BOUND, BOUNDS],
  min: [MIN],
  max: [MAX],
  scale: [SCALE],
  zero_count: [ZEROS],
  zero_threshold: [ZERO_THRESHOLD],
  positive: [POSITIVE],
  negative: [NEGATIVE],
  quantile_values: [QUANTILE],
} as const satisfies Readonly<Record<string, readonly number[]>>

/** A field of a data point, as the schema calls it. */
export type PointField = keyof typeof jobs

const isPointField = (name: string): name is PointField => name in jobs

/** What one kind of point is made of: what to do at each tag, and two of the tags. */
interface Plan {
  /** By tags of one byte, which all fields of points have. */
  readonly jobs: Uint8Array
  readonly attributesTag: number
  /** 0 where it has none. */
  readonly exemplarsTag: number
}

function planOf(kind: number, unread: readonly PointField[]): Plan {
  const data = messageNamed('Metric').byNumber[kind]
  const message = messageNamed(fieldNamed(data?.of ?? '', 'data_points').of)
  const table = new Uint8Array(128)
  for (const { name, number, wire } of message.fields) {
    table.fill(WRONG, number << 3, (number + 1) << 3)
    const [one, packed] = isPointField(name) && !unread.includes(name) ? [...jobs[name], WRONG] : [SKIP, WRONG]
    table[(number << 3) | LENGTH] = packed
    table[(number << 3) | wire] = one
  }
  const tagOf = (name: string): number => ((message.byName.get(name)?.number ?? 0) << 3) | LENGTH
  return {
    jobs: table,
    attributesTag: tagOf('attributes'),
    exemplarsTag: message.byName.has('exemplars') ? tagOf('exemplars') : 0,
  }
}

/** Buckets of one sign of an exponential histogram. */
export class Buckets {
  offset = 0
  readonly counts = new Numbers()
}

const high = 2 ** 32
/** Flag of a point that says that there is no value any more. */
const noRecordedValue = 1
const nothing = new Uint8Array(0)
const noView = new DataView(new ArrayBuffer(0))

/** One data point. What it does not have is 0, or NaN where the schema tells that apart from 0. */
export class DataPoint {
  /** The field of Metric it stands in. */
  kind = 0
  /** Where it was read from, and a view of that. */
  bytes: Uint8Array = nothing
  view: DataView = noView
  /** The attributes: their fields under `attributesTag`, one after the other. */
  attributes: Uint8Array = nothing
  attributesStart = 0
  attributesEnd = 0
  attributesTag = 0
  /** Where the first exemplar's field starts and the last one ends; other fields may stand between. */
  exemplarsStart = 0
  exemplarsEnd = 0
  exemplarsTag = 0
  /** There is no value any more: the series ends here. */
  ended = false
  /** Of a gauge or a sum: its value, and where that stands; -1 where it has none. */
  value = NaN
  valueAt = -1
  isInt = false
  count = 0
  sum = 0
  /** Whether it stands there: a histogram may have none. */
  hasSum = false
  min = NaN
  max = NaN
  readonly counts = new Numbers()
  readonly bounds = new Numbers()
  scale = 0
  zeroCount = 0
  zeroThreshold = 0
  readonly positive = new Buckets()
  readonly negative = new Buckets()
  /** Quantile, value, quantile, value. */
  readonly quantiles = new Numbers()
  readonly #plans: readonly (Plan | undefined)[]
  readonly #cursor = new Cursor(nothing)
  /** Of both times the lower and the upper half. */
  #startLow = 0
  #startHigh = 0
  #timeLow = 0
  #timeHigh = 0
  #isScattered = false

  /** `unread`: fields that nobody asks for; they are checked and passed over. */
  constructor(...unread: readonly PointField[]) {
    const plans: Plan[] = []
    for (const kind of [GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY]) plans[kind] = planOf(kind, unread)
    this.#plans = plans
  }

  /** Nanoseconds since the epoch. As doubles they are exact to a quarter of a microsecond. */
  get start(): number {
    return this.#startHigh * high + this.#startLow
  }

  get time(): number {
    return this.#timeHigh * high + this.#timeLow
  }

  /** The same in whole milliseconds, which are exact. */
  get startMilliseconds(): number {
    return milliseconds(this.#startLow, this.#startHigh)
  }

  get milliseconds(): number {
    return milliseconds(this.#timeLow, this.#timeHigh)
  }

  /**
   * Reads the point between `from` and `to`, of a metric whose data stands in the field `kind`.
   * @throws WireError where it is none, TooManyNumbers where it has more than anybody means
   */
  read(kind: number, bytes: Uint8Array, from: number, to: number): void {
    const plan = this.#plans[kind]
    if (plan === undefined) throw new TypeError(`field ${kind} of a metric holds no data points`)
    this.#begin(kind, plan, bytes, from)
    const cursor = this.#cursor.set(bytes, from, to)
    while (cursor.at < to) {
      const field = cursor.at
      const tag = cursor.tag()
      const job = tag < 128 ? plan.jobs[tag] : SKIP
      switch (job) {
        case SKIP:
          cursor.skip(tag)
          break
        case WRONG:
          throw new WireError(`field ${tag >>> 3} of a data point has wire type ${tag & 7}`)
        case ATTRIBUTE:
          this.#attribute(cursor, field)
          break
        case START:
          cursor.advance(8)
          this.#startLow = this.view.getUint32(cursor.at - 8, true)
          this.#startHigh = this.view.getUint32(cursor.at - 4, true)
          break
        case TIME:
          cursor.advance(8)
          this.#timeLow = this.view.getUint32(cursor.at - 8, true)
          this.#timeHigh = this.view.getUint32(cursor.at - 4, true)
          break
        case DOUBLE:
        case INT:
          this.#value(cursor, job === INT)
          break
        default:
          this.#other(cursor, job, field)
      }
    }
    if (this.#isScattered) this.#gather(from, to)
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.bytes = this.attributes = this.#cursor.bytes = nothing
    this.view = noView
  }

  #begin(kind: number, plan: Plan, bytes: Uint8Array, from: number): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    this.kind = kind
    this.attributes = bytes
    this.attributesTag = plan.attributesTag
    this.exemplarsTag = plan.exemplarsTag
    this.attributesStart = this.attributesEnd = this.exemplarsStart = this.exemplarsEnd = from
    this.#startLow = this.#startHigh = this.#timeLow = this.#timeHigh = 0
    this.ended = this.#isScattered = this.isInt = this.hasSum = false
    this.valueAt = -1
    this.value = this.min = this.max = NaN
    // Most points are of gauges and sums, which have nothing else.
    if (kind <= SUM) return
    this.count = this.sum = this.scale = this.zeroCount = this.zeroThreshold = 0
    this.counts.length = this.bounds.length = this.quantiles.length = 0
    for (const side of [this.positive, this.negative]) side.offset = side.counts.length = 0
  }

  #attribute(cursor: Cursor, field: number): void {
    const length = cursor.length()
    if (this.attributesStart === this.attributesEnd) this.attributesStart = field
    else if (this.attributesEnd !== field) this.#isScattered = true
    this.attributesEnd = cursor.at += length
  }

  /** Puts attributes side by side that do not stand so. */
  #gather(from: number, to: number): void {
    const fields: Uint8Array[] = []
    const walk = new AttributeWalk(this.bytes, from, to, this.attributesTag)
    while (walk.next()) fields.push(this.bytes.subarray(walk.field, walk.to))
    this.attributes = Buffer.concat(fields)
    this.attributesStart = 0
    this.attributesEnd = this.attributes.length
  }

  #value(cursor: Cursor, isInt: boolean): void {
    const { at } = cursor
    cursor.advance(8)
    this.valueAt = at
    this.isInt = isInt
    this.value = isInt
      ? this.view.getUint32(at, true) + this.view.getInt32(at + 4, true) * high
      : this.view.getFloat64(at, true)
  }

  #other(cursor: Cursor, job: number, field: number): void {
    switch (job) {
      case FLAGS:
        this.ended = (cursor.uint32() & noRecordedValue) !== 0
        return
      case EXEMPLAR: {
        const length = cursor.length()
        if (this.exemplarsStart === this.exemplarsEnd) this.exemplarsStart = field
        this.exemplarsEnd = cursor.at += length
        return
      }
      case COUNT:
        this.count = this.#fixed64(cursor)
        return
      case TOTAL:
        this.sum = this.#double(cursor)
        this.hasSum = true
        return
      case BUCKET:
        return this.counts.push(this.#fixed64(cursor))
      case BUCKETS:
        for (const end = packed(cursor); cursor.at < end;) this.counts.push(this.#fixed64(cursor))
        return
      case BOUND:
        return this.bounds.push(this.#double(cursor))
      case BOUNDS:
        for (const end = packed(cursor); cursor.at < end;) this.bounds.push(this.#double(cursor))
        return
      default:
        this.#rare(cursor, job)
    }
  }

  #rare(cursor: Cursor, job: number): void {
    switch (job) {
      case MIN:
        this.min = this.#double(cursor)
        return
      case MAX:
        this.max = this.#double(cursor)
        return
      case SCALE:
        this.scale = sint32(cursor)
        return
      case ZEROS:
        this.zeroCount = this.#fixed64(cursor)
        return
      case ZERO_THRESHOLD:
        this.zeroThreshold = this.#double(cursor)
        return
      case POSITIVE:
        return readBuckets(cursor, this.positive)
      case NEGATIVE:
        return readBuckets(cursor, this.negative)
      default:
        this.#quantile(cursor)
    }
  }

  #quantile(cursor: Cursor): void {
    const { end } = cursor
    cursor.end = cursor.length() + cursor.at
    let quantile = 0
    let value = 0
    while (cursor.at < cursor.end) {
      const tag = cursor.tag()
      if (tag === 0x09) quantile = this.#double(cursor)
      else if (tag === 0x11) value = this.#double(cursor)
      else if (tag >>> 3 <= 2) throw new WireError(`field ${tag >>> 3} of a quantile has wire type ${tag & 7}`)
      else cursor.skip(tag)
    }
    cursor.end = end
    this.quantiles.push(quantile)
    this.quantiles.push(value)
  }

  #fixed64(cursor: Cursor): number {
    const { at } = cursor
    cursor.advance(8)
    return this.view.getUint32(at, true) + this.view.getUint32(at + 4, true) * high
  }

  #double(cursor: Cursor): number {
    const { at } = cursor
    cursor.advance(8)
    return this.view.getFloat64(at, true)
  }
}

/** Whole milliseconds of nanoseconds in two halves. Exact: 2^32 ns are 4294 ms and 967,296 ns. */
export function milliseconds(low: number, upper: number): number {
  return upper * 4294 + Math.floor((upper * 967_296 + low) / 1_000_000)
}

/** Where a packed list of 64-bit numbers ends; leaves the cursor at the first. */
function packed(cursor: Cursor): number {
  const length = cursor.length()
  if (length % 8 !== 0) throw new WireError(`a list of ${length} bytes is no list of numbers`)
  return cursor.at + length
}

function sint32(cursor: Cursor): number {
  const n = cursor.uint32()
  return (n >>> 1) ^ -(n & 1)
}

/** A Buckets message. One that stands twice is merged: its counts are one list. */
function readBuckets(cursor: Cursor, buckets: Buckets): void {
  const { end } = cursor
  const last = cursor.length() + cursor.at
  cursor.end = last
  while (cursor.at < last) {
    const tag = cursor.tag()
    if (tag === 0x08) buckets.offset = sint32(cursor)
    else if (tag === 0x10) buckets.counts.push(readUint64(cursor))
    else if (tag === 0x12) {
      cursor.end = cursor.length() + cursor.at
      while (cursor.at < cursor.end) buckets.counts.push(readUint64(cursor))
      cursor.end = last
    } else if (tag >>> 3 <= 2) throw new WireError(`field ${tag >>> 3} of buckets has wire type ${tag & 7}`)
    else cursor.skip(tag)
  }
  cursor.end = end
}
