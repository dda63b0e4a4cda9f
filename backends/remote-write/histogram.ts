/** Native histograms of remote write, which both versions encode alike, from exponential and explicit ones. */
import { Growing } from '../../proto/growing.ts'
import type { Buckets, DataPoint } from '../../proto/data-point.ts'
import { putVarint64, varint64Size } from '../../proto/varint64.ts'
import { putVarint, varintSize } from '../../proto/wire.ts'

/** Bits of the value that says that a series has ended. */
export const STALE_LOW = 2
export const STALE_HIGH = 0x7ff00000

/** STALE as an unsigned varint. */
const staleVarint = Buffer.from([0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf8, 0x7f])

const leastScale = -4
const mostScale = 8
/** Schema of histograms with bounds of their own. */
const customSchema = -53
const gaugeHint = 3
/** What lies below this counts as zero where the sender does not say. */
const defaultZeroThreshold = 1e-128
/** Runs of empty buckets up to this long cost less as buckets than as a new span. */
const shortGap = 2
const mostIndex = 0x7fffffff

/** Spans and deltas of the buckets of one sign. */
class Layout {
  readonly spans = new Growing(256, undefined)
  readonly deltas = new Growing(256, undefined)
  total = 0
  #field = 0
  #spanStart = 0
  #length = 0
  #next = 0
  #before = 0
  #index = 0
  #count = 0
  #any = false

  /** `field`: tag of the spans in Histogram; that of the deltas is one field after it. */
  begin(field: number): void {
    this.spans.at = this.deltas.at = 0
    this.total = this.#next = this.#before = this.#length = this.#count = 0
    this.#any = false
    this.#field = field
  }

  /** Adds to bucket `index`; indices never go back. */
  add(index: number, count: number): void {
    if (count === 0) return
    this.total += count
    if (this.#count > 0 && this.#index !== index) this.#flush()
    this.#index = index
    this.#count += count
  }

  end(): void {
    if (this.#count > 0) this.#flush()
    if (this.#length > 0) this.#closeSpan()
  }

  #flush(): void {
    const gap = this.#index - this.#next
    if (!this.#any || gap > shortGap) {
      if (this.#any) this.#closeSpan()
      this.#any = true
      this.#spanStart = gap
    } else for (let i = 0; i < gap; i++) this.#delta(0)
    this.#delta(this.#count)
    this.#next = this.#index + 1
    this.#count = 0
  }

  #delta(count: number): void {
    const delta = count - this.#before
    this.#before = count
    this.#length++
    this.deltas.ensure(10)
    this.deltas.at = putVarint64(this.deltas.bytes, this.deltas.at, delta < 0 ? -2 * delta - 1 : 2 * delta)
  }

  #closeSpan(): void {
    const out = this.spans
    const offset = zigzag32(this.#spanStart)
    out.ensure(16)
    const { bytes } = out
    bytes[out.at++] = this.#field
    bytes[out.at++] = 2 + varintSize(offset) + varintSize(this.#length)
    bytes[out.at++] = 0x08
    out.at = putVarint(bytes, out.at, offset)
    bytes[out.at++] = 0x10
    out.at = putVarint(bytes, out.at, this.#length)
    this.#length = 0
  }
}

const zigzag32 = (n: number): number => ((n << 1) ^ (n >> 31)) >>> 0

/** Writes histograms, one at a time. */
export class HistogramWriter {
  /** The content of the last Histogram, from 0. */
  readonly out = new Growing(1024, undefined)
  readonly #positive = new Layout()
  readonly #negative = new Layout()

  /** Writes an exponential point; gives why not where Prometheus would not take it, else ''. */
  exponential(point: DataPoint, gauge: boolean, startTime: number): string {
    const { scale, positive, negative, zeroCount } = point
    if (scale < leastScale) return 'scale_too_small'
    this.#begin(point)
    if (!point.ended) {
      const shift = Math.min(31, Math.max(0, scale - mostScale))
      if (!layOut(this.#positive, positive, shift) || !layOut(this.#negative, negative, shift)) return 'bucket_index'
      if (!consistent(point, zeroCount + this.#positive.total + this.#negative.total)) return 'bucket_counts'
    }
    this.#schema(Math.min(mostScale, scale))
    this.#double(0x29, point.zeroThreshold || defaultZeroThreshold)
    this.#varint(0x30, point.ended ? 0 : zeroCount)
    this.#buckets(0x42, 0x4a, this.#negative)
    this.#buckets(0x5a, 0x62, this.#positive)
    this.#end(point, gauge, startTime)
    return ''
  }

  /** Writes a point with explicit bounds as a histogram with custom buckets; gives why not, else ''. */
  custom(point: DataPoint, gauge: boolean, startTime: number): string {
    const { bounds, counts } = point
    // A last bound of infinity is there without being said.
    const most = bounds.length > 0 && bounds.values[bounds.length - 1] === Infinity ? bounds.length - 1 : bounds.length
    for (let i = 0; i < most; i++) {
      const bound = bounds.values[i]
      if (!Number.isFinite(bound) || (i > 0 && bound <= bounds.values[i - 1])) return 'bucket_bounds'
    }
    this.#begin(point)
    if (!point.ended) {
      for (let i = 0; i < counts.length; i++) this.#positive.add(Math.min(i, most), counts.values[i])
      this.#positive.end()
      if (!consistent(point, this.#positive.total)) return 'bucket_counts'
    }
    this.#schema(customSchema)
    this.#buckets(0x5a, 0x62, this.#positive)
    this.#end(point, gauge, startTime)
    if (most > 0) {
      const { out } = this
      out.ensure(8 + 8 * most)
      // Field 16: its tag takes two bytes.
      out.bytes[out.at++] = 0x82
      out.bytes[out.at++] = 0x01
      out.at = putVarint(out.bytes, out.at, 8 * most)
      for (let i = 0; i < most; i++, out.at += 8) out.view.setFloat64(out.at, bounds.values[i], true)
    }
    return ''
  }

  #begin(point: DataPoint): void {
    const { out } = this
    out.at = 0
    this.#positive.begin(0x5a)
    this.#negative.begin(0x42)
    if (point.ended) {
      out.ensure(staleVarint.length + 10)
      out.bytes[out.at++] = 0x08
      out.at += staleVarint.copy(out.bytes, out.at)
      out.bytes[out.at++] = 0x19
      out.view.setInt32(out.at, STALE_LOW, true)
      out.view.setInt32(out.at + 4, STALE_HIGH, true)
      out.at += 8
      return
    }
    this.#varint(0x08, point.count)
    this.#double(0x19, point.sum)
  }

  #schema(schema: number): void {
    this.#varint(0x20, zigzag32(schema))
  }

  #end(point: DataPoint, gauge: boolean, startTime: number): void {
    if (gauge) this.#varint(0x70, gaugeHint)
    this.#varint(0x78, point.milliseconds)
    if (startTime === 0) return
    this.out.ensure(1)
    // Field 17: its tag takes two bytes.
    this.out.bytes[this.out.at++] = 0x88
    this.#varint(0x01, startTime)
  }

  #varint(tag: number, n: number): void {
    const { out } = this
    out.ensure(1 + varint64Size(n))
    out.bytes[out.at++] = tag
    out.at = putVarint64(out.bytes, out.at, n)
  }

  #double(tag: number, n: number): void {
    const { out } = this
    out.ensure(9)
    out.bytes[out.at++] = tag
    out.view.setFloat64(out.at, n, true)
    out.at += 8
  }

  #buckets(spanTag: number, deltaTag: number, { spans, deltas }: Layout): void {
    if (spans.at === 0 || spanTag === 0) return
    const { out } = this
    out.ensure(spans.at + deltas.at + 8)
    out.at += spans.bytes.copy(out.bytes, out.at, 0, spans.at)
    out.bytes[out.at++] = deltaTag
    out.at = putVarint(out.bytes, out.at, deltas.at)
    out.at += deltas.bytes.copy(out.bytes, out.at, 0, deltas.at)
  }
}

/** Lays out buckets, of which 2^shift are merged into one. OpenTelemetry's bucket i is Prometheus' i + 1. */
function layOut(layout: Layout, { offset, counts }: Buckets, shift: number): boolean {
  const width = 2 ** shift
  for (let i = 0; i < counts.length; i++) {
    if (counts.values[i] === 0) continue
    const index = Math.floor((offset + i) / width) + 1
    if (index > mostIndex) return false
    layout.add(index, counts.values[i])
  }
  layout.end()
  return true
}

/** Whether the buckets make up the count. Prometheus takes no histogram where they do not, unless its sum is NaN. */
function consistent({ count, sum }: DataPoint, total: number): boolean {
  return Number.isNaN(sum) ? total <= count : total === count
}
